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
    places = [
        i for i in range(3, len(lines)) if lines[i].strip() and not lines[i].lstrip().startswith(("#", "}", "->"))
    ]
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


# --- rubbish -----------------------------------------------------------------------------------------------------

PIECES = [
    *[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "->",
        "=",
        ":",
        ",",
        ".",
        '"',
        "'",
        "#",
        "//",
        "/*",
        "*/",
        "\\\n",
        "\n",
        "\r",
        "\t",
    ],
    *["\x0b", "\0", "é", "\u200b", "=>", ";", '"""', "-", "^", "%", "1", "5%", "1e999", "_", "A", "as", "if", "else"],
    *["block ", "model ", "dlspec ", "train ", "import ", "default ", "phase ", "€", "\U0001d538", "\ufeff", "１", "²"],
]


def check_findings(text: str) -> list[Diagnostic]:
    """The findings, after what holds for those of any text: they can be shown, and stand in it, in order."""
    source = Source("rubbish.dlspec", text)
    file, found = parse(source)
    for d in found:
        for span in (d.span, *(span for span, _ in d.labels), *(fix.span for fix in d.fixes)):
            assert 0 <= span.start <= span.end <= len(text)
        assert render(d) and d.as_json()["message"] and d.help is not None and d.code in CODES
    assert [d.span.start for d in found] == sorted(d.span.start for d in found)
    assert all(0 <= node.span.start <= node.span.end <= len(text) for node in tree.walk(file))
    return found


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.one_of(
        st.text(), st.binary().map(lambda data: data.decode("latin-1")), st.lists(st.sampled_from(PIECES)).map("".join)
    )
)
def test_no_text_is_too_strange(text: str) -> None:
    assert check_findings(text)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE)))
def test_a_spec_that_breaks_off_anywhere(end: int) -> None:
    check_findings(WHOLE[:end])


@pytest.mark.slow
@settings(max_examples=200)
@given(st.randoms(use_true_random=False))
def test_a_spec_with_anything_put_in_anywhere(draw: random.Random) -> None:
    text = WHOLE
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(text))
        text = text[:at] + draw.choice(PIECES) + text[at + draw.randrange(3) :]
    check_findings(text)


@pytest.mark.slow
@settings(max_examples=100)
@given(grammar_trees.files, st.randoms(use_true_random=False))
def test_lines_without_a_fault_stay_in_the_tree(file: tree.File, draw: random.Random) -> None:
    """A line that cannot be read is put between any two items: all items are still there, and the name of that one."""
    nowhere = Source("nowhere", "")
    items = [format(tree.File(None, (item,), span=item.span), nowhere) for item in file.items]
    at = draw.randint(0, len(items))
    items.insert(at, "x = = 1\n")
    read, found = parse(Source("spec.dlspec", "dlspec 1\n" + "".join(items)))
    unread = read.items[at]
    assert isinstance(unread, tree.Constant) and isinstance(unread.value, tree.Unread)
    assert (*read.items[:at], *read.items[at + 1 :]) == file.items
    assert [span.text for span in read.unread] == ["x = = 1"]
    assert len(found) == 1


def test_a_body_is_read_for_faults_when_its_head_has_one() -> None:
    found = findings("dlspec 1\nmodel Net: (x) -> {\n  a b\n  residual { c d }\n  f = e\n}\n")
    assert [(d.code, d.span.line) for d in found] == [("wrong-type", 2), ("missing-sign", 3), ("missing-sign", 4)]


def test_binary_data_is_one_finding() -> None:
    found = findings("dlspec 1\n\0\0\0 = = = (((\n")
    assert [d.code for d in found] == ["not-text"]
    assert (found[0].span.line, found[0].span.column) == (2, 1)


def test_of_a_very_long_line_only_what_is_around_is_shown() -> None:
    text = f"dlspec 1\nx = [{'1, ' * 5000}2 3, {'4, ' * 5000}5]\n"
    (finding,) = findings(text)
    line, carets = render(finding).splitlines()[2:4]
    assert len(line) < 260 and line[carets.index("^")] == "3"
    assert (finding.span.line, finding.span.column) == (2, text.index("3,") - 8)
    assert finding.as_json()["column"] == finding.span.column
