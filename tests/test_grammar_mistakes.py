"""What is said about a text with faults: every case of mistakes.md, faults put into whole specs, and rubbish."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

import grammar_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlspec.grammar import Diagnostic, Source, format, parse, render, tree

pytestmark = pytest.mark.no_torch

PAGE = (Path(__file__).resolve().parent.parent / "grammar" / "mistakes.md").read_text(encoding="utf-8")
BLOCK = r"```{}\n(.*?)```\n"


class Case(NamedTuple):
    code: str
    wrong: str
    said: str
    right: str


def cases() -> list[Case]:
    found = []
    for section in PAGE.split("\n## ")[1:]:
        code, _, text = section.partition("\n")
        pattern = "\n".join(BLOCK.format(kind) for kind in ("dlspec", "text", "dlspec"))
        found.extend(Case(code, *match) for match in re.findall(pattern, text, re.DOTALL))
    return found


CASES = cases()
CODES = {section.partition("\n")[0] for section in PAGE.split("\n## ")[1:]}


def findings(text: str) -> list[Diagnostic]:
    return parse(Source("spec.dlspec", text))[1]


def fixed(text: str, found: list[Diagnostic]) -> str:
    """The text with the first fix of every finding applied."""
    for fix in sorted((d.fixes[0] for d in found if d.fixes), key=lambda fix: -fix.span.start):
        text = text[: fix.span.start] + fix.text + text[fix.span.end :]
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.wrong.splitlines()[-1][:30]}")
def test_the_page_of_mistakes(case: Case) -> None:
    found = findings(case.wrong)
    assert "\n".join(map(render, found)) + "\n" == case.said
    assert {d.code for d in found} == {case.code}
    assert findings(case.right) == []
    if all(d.fixes for d in found):
        assert fixed(case.wrong, found) == case.right


def test_the_page_holds_every_block_of_its_own() -> None:
    """No case is lost to a slip in the page's markup."""
    assert PAGE.count("```text") == len(CASES) > 80
    assert PAGE.count("```dlspec") == 2 * len(CASES)


def test_every_code_has_a_section() -> None:
    folder = Path(__file__).resolve().parent.parent / "grammar"
    written = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    codes = set(re.findall(r'(?:Diagnostic|rewrite)\(\s*"([a-z-]+)"', written))
    assert codes == CODES
    assert {case.code for case in CASES} == codes - {"not-text", "too-deep"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.wrong.splitlines()[-1][:30]}")
def test_any_one_fix_cures_its_finding(case: Case) -> None:
    found = findings(case.wrong)
    for finding in found:
        for fix in finding.fixes:
            text = case.wrong[: fix.span.start] + fix.text + case.wrong[fix.span.end :]
            assert len(findings(text)) < len(found)
