"""Bytes to text: UTF-8 with or without a mark, and a clear word about anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.grammar import Diagnostic, Source, parse, render
from dlspec.grammar.reader import decode, read

pytestmark = pytest.mark.no_torch


def test_a_text_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "größe.dlspec"
    path.write_bytes(b"\xef\xbb\xbfdlspec 1\r\n# gr\xc3\xb6\xc3\x9fe\r\nx = 1\r\n")
    source = read(path, "größe.dlspec")
    assert isinstance(source, Source)
    assert (source.name, source.text) == ("größe.dlspec", "\ufeffdlspec 1\r\n# größe\r\nx = 1\r\n")
    file, findings = parse(source)
    assert findings == []
    assert [(item.span.text, item.span.line, item.span.column) for item in file.items] == [("x = 1", 3, 1)]
    assert source.line(2) == "# größe"


@pytest.mark.parametrize(
    ("data", "line", "column", "said"),
    [
        (b"dlspec 1\n# gr\xf6\xdfe\n", 2, 5, "0xF6"),
        (b"\xff\xfed\x00l\x00s\x00", 1, 1, "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", 1, 1, "not a text"),
        (b"dlspec 1\n\x00", 2, 1, "not a text"),
    ],
)
def test_what_is_no_text_is_told_with_its_place(data: bytes, line: int, column: int, said: str) -> None:
    finding = decode(data, "spec.dlspec")
    assert isinstance(finding, Diagnostic)
    assert (finding.code, finding.span.line, finding.span.column) == ("not-text", line, column)
    assert said in render(finding) and finding.help


def test_a_file_that_is_not_there_is_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.dlspec")
