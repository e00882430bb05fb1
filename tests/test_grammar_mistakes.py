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


# --- faults in a whole spec --------------------------------------------------------------------------------------

WHOLE = (Path(__file__).with_name("grammar") / "whole.dlspec").read_text(encoding="utf-8")


def damaged(line: str, draw: random.Random) -> str | None:
    """The line with one fault, or None where the fault drawn has no place in it."""
    code = line.partition("  #")[0]
    rest = line[len(code) :]
    lead = code[: len(code) - len(code.lstrip())]
    match draw.randrange(9):
        case 0 if " -> " in code and '"' not in code:
            code = code.replace(" -> ", " => ", 1)
        case 1 if " = " in code and '"' not in code and "==" not in code:
            code = code.replace(" = ", " := ", 1)
        case 2 if code.endswith(")") and code.count(")") == code.count("("):
            code = code[:-1]
        case 3 if code[-1] not in "{(,":
            code += ")"
        case 4 if "true" in code and '"' not in code:
            code = code.replace("true", "True", 1)
        case 5 if code[-1] not in "{(,[":
            code += " $"
        case 6 if re.fullmatch(r'[^"]*"[^"]*"[^"]*', code) and "#" not in code:
            code = code.replace('"', "'")
        case 7 if re.match(r" +\w+ += ", code):
            code = f"{lead}let {code.lstrip()}"
        case 8 if code[-1] not in "{(,[}" and not code.lstrip().startswith("->"):
            code += " 7 8"
        case _:
            return None
    return code + rest


@pytest.mark.parametrize("seed", range(60))
def test_independent_faults_are_all_told_in_order(seed: int) -> None:
    draw = random.Random(seed)
    lines = WHOLE.splitlines()
    # Every third line at most, of those that have a line of a body or a file to themselves.
    places = [i for i in range(3, len(lines)) if lines[i].strip() and not lines[i].lstrip().startswith(("#", "}", "->"))]
    places = [i for i in places[draw.randrange(3) :: 3] if not lines[i + 1 : i + 2] or "->" not in lines[i + 1][:10]]
    faulty: list[int] = []
    for i in places:
        tries = (damaged(lines[i], draw) for _ in range(30))
        if draw.random() < 0.6 and (line := next(filter(None, tries), None)) is not None:
            lines[i] = line
            faulty.append(i + 1)
    found = findings("\n".join(lines) + "\n")
    assert [d.span.line for d in found] == faulty
    assert len(faulty) > 1
