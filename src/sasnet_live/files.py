"""Names of output files, and how they come to be: alone, never through a link, and whole or named partial."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

_BINARY = getattr(os, "O_BINARY", 0)
# Windows has neither: a link there needs rights that few have, and a pipe has no such name.
_ITSELF = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

Identity = tuple[int | str, ...]


def partial_path(path: Path) -> Path:
    """Name of a file while it is not complete."""
    return path.with_name(path.name + ".partial")


def name_and_ending(path: Path) -> tuple[str, str]:
    """``mouse.1.ome.tiff`` is ``mouse.1`` and ``.ome.tiff``: a dot in a name does not end it."""
    ending = path.suffix
    name = path.name.removesuffix(ending)
    if name[:-4] and name.lower().endswith(".ome"):
        name, ending = name[:-4], name[-4:] + ending
    return name, ending


def renamed(path: Path, addition: str) -> Path:
    """The path with an addition to its name: ``mouse.1.ome.tiff`` and ``_warped`` give ``mouse.1_warped.ome.tiff``."""
    name, ending = name_and_ending(path)
    return path.with_name(name + addition + ending)


def part_path(path: Path, part: int) -> Path:
    """Path of the n-th stream of a recording, from 1: ``a.ome.tiff``, then ``a_002.ome.tiff``."""
    return path if part == 1 else renamed(path, f"_{part:03d}")


def identity(path: Path) -> Identity:
    """Equal for two paths of one file, through links and whatever the case of letters where the disk ignores it.

    Of a file that is not there, its folder's identity and its name.
    """
    for known, rest in ((path, ()), (path.parent, (path.name,))):
        with suppress(OSError):
            found = os.stat(known)
            return (found.st_dev, found.st_ino, *rest)
    return (str(path.resolve()),)


def check_folder(path: Path) -> None:
    """Raise InputError if the folder of a file that is to be written is not there, or cannot be written to."""
    if not path.parent.is_dir():
        raise InputError(
            f"{path}: cannot be written, the folder {path.parent} does not exist; make it, or choose another one"
        )
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to; choose another one")


def check_writable_folder(folder: Path) -> None:
    """Make a folder if need be; raise InputError if files cannot be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written to ({error.strerror}); choose a folder that you may write to"
        ) from None


def refuse_present(path: Path) -> None:
    """Raise InputError if there is something at a path that is to be written; asked where it is not to be replaced."""
    if os.path.lexists(path):
        raise InputError(f"{path}: is there already; add --overwrite to replace it, or choose another name")


def refuse_interrupted(partial: Path) -> None:
    """Raise InputError if an earlier run left a partial file; asked where it is neither resumed nor replaced."""
    if os.path.lexists(partial):
        raise InputError(
            f"{partial}: an earlier run was interrupted; add --resume to go on with it or --overwrite to start again"
        )


def refuse_folder(path: Path) -> None:
    """Raise InputError if a file's final name is that of a folder, which it could not replace at the end."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; choose another name for the file")


def refuse_unless_file(path: Path) -> None:
    """Raise InputError if there is something at a path that is not a plain file: a link, a folder, a pipe."""
    with suppress(OSError):
        kind = os.lstat(path).st_mode
        if not stat.S_ISREG(kind):
            what = "a link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "not a file"
            raise InputError(f"{path}: is {what}, which is not written through; remove it or choose another name")


def open_partial(path: Path, *, resume: bool = False, overwrite: bool = False) -> FileIO:
    """Open a file that is being written, for this process alone.

    Nothing is written, emptied or removed before the lock on it is held. A file to be replaced is removed and made
    anew rather than emptied, so that a second name of it keeps its content; of a link, only the link is removed.

    Parameters
    ----------
    path
        The partial name.
    resume
        Open a file that is there as it is.
    overwrite
        Replace one that is there, unless it is to be resumed.

    Raises
    ------
    InputError
        If it is there and neither is asked for, is a link, a pipe or a folder, is being written by another process, or
        cannot be written.
    """
    try:
        while True:
            there = os.path.lexists(path)
            if there and overwrite and not resume and os.path.islink(path):
                os.unlink(path)
                continue
            refuse_unless_file(path)
            if not (resume or overwrite):
                refuse_interrupted(path)
            file = _opened(path, os.O_RDWR, new=not there)
            if file is None:
                continue
            if not there or resume:
                return file
            _removed(file, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that exists and that you may write to"
        ) from None


class OutputLock:
    """Keeps the names of all outputs of a run for this run, all of them or none; others are refused meanwhile.

    A file ``.NAME.lock`` lies beside each output while the lock is held. The system lets go of it when the process
    ends, however that happens; the empty file of a killed one is taken over by the next.

    Parameters
    ----------
    paths
        The outputs: files or folders, there already or not.

    Raises
    ------
    InputError
        If another run writes one of them, two are the same, or a folder is not there or cannot be written to.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._held: list[tuple[FileIO, Path]] = []
        try:
            taken: set[Identity] = set()
            for path in paths:
                check_folder(path)
                if identity(path) in taken:
                    raise InputError(f"{path}: is the name of two outputs; give each a name of its own")
                taken.add(identity(path))
                self._hold(path)
        except BaseException:
            self.release()
            raise

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others have the names."""
        while self._held:
            file, path = self._held.pop()
            _removed(file, path)

    def _hold(self, path: Path) -> None:
        lock = path.with_name(f".{path.name}.lock")
        file = None
        try:
            while file is None:
                refuse_unless_file(lock)
                file = _opened(lock, os.O_RDWR | os.O_CREAT, of=path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
        self._held.append((file, lock))


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file that appears whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    with whole_file(path, partial_path(path)) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path, unfinished: Path) -> Iterator[BinaryIO]:
    """A file that is called `unfinished` while the block writes it, and appears at `path` whole or not at all."""
    unfinished.unlink(missing_ok=True)  # left by a process that was killed, or a link
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def write_all(file: FileIO, content: bytes | bytearray | memoryview, position: int) -> None:
    """Write to an unbuffered file, all of it: a disk that fills up takes part of it and raises only at the next."""
    view = memoryview(bytes(content) if isinstance(content, bytearray) else content).cast("B")
    while view:
        file.seek(position)
        written = file.write(view)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view, position = view[written:], position + written


def _opened(path: Path, flags: int, *, new: bool = False, of: Path | None = None) -> FileIO | None:
    """The file, locked; None if another process made, removed or renamed it just now."""
    if new:
        flags |= os.O_CREAT | os.O_EXCL
    try:
        file = FileIO(os.open(path, flags | _BINARY | _ITSELF, 0o666), "r+")
    except (FileExistsError, FileNotFoundError):
        if os.path.lexists(path) == new:
            return None
        raise
    try:
        _lock(file, of or path)
        # The one that was opened may have got its final name while its writer let go of the lock.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.lstat(path)):
                return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _lock(file: FileIO, path: Path) -> None:
    """Refuse a file that another process is writing; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:
        # Windows itself refuses to rename or delete a file that is open.
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{path}: another process is writing this file; wait for it or choose another name") from None
    except OSError:
        return  # a disk, such as some in the network, that knows no locks


def _removed(file: FileIO, path: Path) -> None:
    """Remove a file that this process has locked, and let go of it."""
    if os.name == "nt":
        file.close()  # Windows removes no file that is open
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
    finally:
        file.close()
