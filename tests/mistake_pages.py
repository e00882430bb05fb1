"""Pages of mistakes: what is wrong, what `dlspec check` says about it, and what is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlspec.grammar import Diagnostic, Fix

ROOT = Path(__file__).resolve().parent
_SECTION = re.compile(r"^## (?P<title>[^\n]+)\n(?P<body>.*?)(?=^## |\Z)", re.M | re.S)
_CASE = re.compile(
    r"^```dlspec\n(?P<wrong>.*?)^```\n\n```text\n(?P<said>.*?)^```\n(?:\n```dlspec\n(?P<right>.*?)^```\n)?", re.M | re.S
)


@dataclass(frozen=True)
class Case:
    """A wrong spec and the messages that it deserves; `right` is None where the page shows no right one."""

    page: str
    title: str
    wrong: str
    said: str
    right: str | None

    def __str__(self) -> str:
        return f"{self.page}: {self.title}"


def read_cases(page: Path) -> Iterator[Case]:
    for section in _SECTION.finditer(page.read_text(encoding="utf-8")):
        for case in _CASE.finditer(section["body"]):
            yield Case(page.stem, section["title"], case["wrong"], case["said"], case["right"])


def rewritten(page: Path, say: Callable[[str], str]) -> str:
    """The page with what is said now."""

    def anew(case: re.Match[str]) -> str:
        whole, start = case[0], case.start()
        return whole[: case.start("said") - start] + say(case["wrong"]) + whole[case.end("said") - start :]

    return _CASE.sub(anew, page.read_text(encoding="utf-8"))


def first_fixes(text: str, found: Sequence[Diagnostic]) -> str:
    """The text with the first fix of every finding, from the end up; of two that overlap, the one that holds more."""
    fixes = sorted((d.fixes[0] for d in found if d.fixes), key=lambda fix: (fix.span.start, -fix.span.end))
    kept: list[Fix] = []
    for fix in fixes:
        if not kept or fix.span.start >= kept[-1].span.end:
            kept.append(fix)
    for fix in reversed(kept):
        text = text[: fix.span.start] + fix.text + text[fix.span.end :]
    return text
