"""Specs as they are given: the path of a file, or a text."""

from __future__ import annotations

import re
from pathlib import Path

from ..grammar.diagnostics import Diagnostic, SpecError
from ..grammar.source import Source
from ..runtime.errors import RuntimeFault

LARGEST = 4_000_000
"""More bytes than this are no spec: the whole zoo has a thousandth of it."""


_BINARIES = {
    re.compile(rb"PK\x03\x04"): "an archive, such as PyTorch's weights",
    re.compile(rb"\x89HDF"): "HDF5, such as weights of Keras",
    # A version in one byte, then the name of what wrote it.
    re.compile(rb"\x08[\x01-\x1f]\x12[\x01-\x7f][\x20-\x7e]"): "a graph of ONNX",
}

TEXT_NAME = "spec.dlspec"
"""What a text without a file is called in messages; its emitted module is `spec.py`."""


class WrongUse(RuntimeFault):
    """Something was asked for that there is not: a recipe, a verb, an option."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message, help, exit_code=2)


class Unreadable(RuntimeFault):
    """A file that cannot be read at all: there is no line to point at."""

    def __init__(self, name: str, message: str, help: str = "") -> None:
        super().__init__(message, help, exit_code=2)
        self.name = name


def as_source(given: str | Path) -> Source:
    """A path, or a text: what has a line break is one. Raises what `read_source` raises."""
    if isinstance(given, str) and "\n" in given:
        return Source(TEXT_NAME, given)
    return read_source(str(given))


def read_source(name: str) -> Source:
    """The text of a file under the name the user gave. Raises Unreadable, or SpecError for what is no text."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Unreadable(name, f"there is no file {name}", _other_file(path)) from None
    except IsADirectoryError:
        raise Unreadable(name, f"{name} is a directory", _one_inside(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(name, f"{name} cannot be read: {reason}") from None
    if len(content) > LARGEST:
        raise Unreadable(name, f"{name} is no spec: it has more than {LARGEST:,} bytes")
    try:
        return Source(name, content.decode())
    except UnicodeDecodeError as error:
        raise SpecError([_not_text(name, content, error)]) from None


def _not_text(name: str, content: bytes, error: UnicodeDecodeError) -> Diagnostic:
    if b"\0" in content[:8192]:
        source = Source(name, "")
        help = "a spec is a text that begins with `dlspec 1`"
        kind = next((kind for begin, kind in _BINARIES.items() if begin.match(content)), "a binary file")
        return Diagnostic("not-text", f"this is {kind}, not a spec", source.span(0, 0), "no text", help=help)
    before = content[: error.start].decode()
    source = Source(name, before + content[error.start :].decode(errors="replace"))
    return Diagnostic(
        "not-text",
        "a spec is written in UTF-8, and this is not",
        source.span(len(before), len(before) + 1),
        f"the byte 0x{content[error.start]:02x} is no character",
        help="save the file as UTF-8",
    )


def _other_file(path: Path) -> str:
    """A file that was probably meant."""
    if path.suffix != ".dlspec" and (meant := path.with_name(f"{path.name}.dlspec")).is_file():
        return f"there is {meant}"
    from ..compiler.semantics.nearest import nearest

    try:
        names = [file.stem for file in path.parent.glob("*.dlspec")]
    except OSError:
        return ""
    near = nearest(path.stem, names)
    return f"there is {path.with_name(f'{near}.dlspec')}" if near else ""


def _one_inside(path: Path) -> str:
    specs = sorted(path.glob("*.dlspec"))
    if (path / "manifest.json").is_file():
        return "it is a run: `dlspec evaluate`, `resume` and `export` take it"
    return f"give a file, such as {specs[0]}" if specs else "give a .dlspec file"
