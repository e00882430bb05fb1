"""Offsets and an editor's lines and columns, for texts of any characters and line ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlspec.editor.positions import Encoding, Lines

pytestmark = pytest.mark.no_torch

TEXTS = st.text(st.sampled_from("ab é🙂\n\r\t\x0c\u2028\x85"), max_size=40)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-32"])


@given(TEXTS, ENCODINGS)
def test_there_and_back(text: str, encoding: Encoding) -> None:
    lines = Lines(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n":  # between these two an editor has no place
            assert lines.offset(*lines.position(offset)) == offset


@pytest.mark.parametrize(
    ("encoding", "column"), [("utf-8", len("é🙂".encode())), ("utf-16", 3), ("utf-32", 2)]
)  # fmt: skip
def test_columns_are_counted_as_agreed(encoding: Encoding, column: int) -> None:
    assert Lines("x\r\né🙂y", encoding).position(5) == (1, column)


def test_what_lies_outside_is_the_nearest_inside() -> None:
    lines = Lines("ab\r\n🙂c\n")
    assert lines.offset(0, 99) == 2  # the end of the line, before its break
    assert lines.offset(99, 0) == len("ab\r\n🙂c\n")
    assert lines.offset(1, 1) == 4  # half a character is its start


def test_only_line_breaks_break_lines() -> None:
    assert len(Lines("a\x0cb\x85c\u2028d\ne\rf\r\ng").starts) == 4
