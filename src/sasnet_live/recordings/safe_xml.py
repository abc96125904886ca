"""XML of microscopes, read so that a hostile file can do no harm: no entities, no other files, a bounded size."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from sasnet_live.errors import InputError

LARGEST_XML_BYTES = 128 * 2**20
"""Of a file: PrairieView takes some 400 bytes a frame, so that 300,000 frames fit. The tree takes some ten times it."""

_HEAD_BYTES = 4096
_PROLOGUE = re.compile(r"<\?.*?\?>|<!--.*?-->", re.DOTALL)
_ROOT = re.compile(r"<(?:\w+:)?(\w+)")


def read_xml(path: Path) -> ElementTree.Element:
    """The root of a file.

    Raises
    ------
    InputError
        One line: no such file, too large, not XML, or with a document type, which could name entities.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file; check the name")
        size = path.stat().st_size
        if size > LARGEST_XML_BYTES:
            raise InputError(f"{path}: is {size / 2**20:.0f} MiB of XML; expected {LARGEST_XML_BYTES >> 20} at most")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return parse_xml(content, path)


def parse_xml(content: bytes | str, path: Path) -> ElementTree.Element:
    """The root of XML that came from a file; see `read_xml`."""
    try:
        text = content if isinstance(content, str) else _decoded(content)
        with_type = "<!DOCTYPE" in text or "<!ENTITY" in text
        root = None if with_type else ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged XML ({str(error)[:100]}); copy it again") from None
    if root is None:
        raise InputError(f"{path}: its XML has a document type, which no microscope writes; export it again")
    return root


def root_tag(path: Path) -> str:
    """Name of a file's root element, from its first bytes; empty if there is none."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return ""
    found = _ROOT.match(_PROLOGUE.sub("", _decoded(head, "ignore")).lstrip())
    return found[1] if found else ""


def _decoded(content: bytes, errors: str = "strict") -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors)
