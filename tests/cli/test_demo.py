"""``sasnet-live demo``: what a user sees where it cannot write."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sasnet_live import cli


def _below_a_file(folder: Path, _: pytest.MonkeyPatch) -> Path:
    (folder / "file").write_text("not a folder")
    return folder / "file" / "demo"


def _a_file(folder: Path, _: pytest.MonkeyPatch) -> Path:
    (folder / "file").write_text("not a folder")
    return folder / "file"


def _read_only(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    # Whoever runs tests as root may write to any folder: what the system would say is said for it.
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    patch.setattr(tempfile, "TemporaryFile", refused)
    return folder


@pytest.mark.parametrize("case", [_below_a_file, _a_file, _read_only])
def test_a_folder_that_cannot_be_written_to_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: Any
) -> None:
    out = case(tmp_path, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "-o", str(out), "--frames", "1", "--size", "64"])
    printed, err = capsys.readouterr()
    assert (ended.value.code, printed) == (2, "")
    assert err.count("\n") == 1
    assert f"{out}: cannot be written to (" in err
    assert "choose a folder that you may write to" in err
