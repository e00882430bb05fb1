"""A corpus of broken specs: what is said of each, and whether the first edit of every message mends it.

`python tests/update_messages.py` writes what is said now into the pages.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from mistake_pages import ROOT, Case, first_fixes, read_cases

from dlspec.cli.codes import read_codes
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source, render

pytestmark = pytest.mark.no_torch

PAGES = sorted((ROOT / "corpus").glob("*.md"))
CASES = [case for page in PAGES for case in read_cases(page)]


@cache
def found_in(text: str) -> list[Diagnostic]:
    return analyse(Source("n.dlspec", text)).diagnostics


def errors_in(text: str) -> list[Diagnostic]:
    return [d for d in found_in(text) if d.severity == "error"]


def is_mended(text: str) -> bool:
    """Whether the first edit of each of its errors, applied once and together, leaves a text without errors."""
    return not errors_in(first_fixes(text, errors_in(text)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_messages_are_those_on_the_page(case: Case) -> None:
    assert "\n\n".join(map(render, found_in(case.wrong))) + "\n" == case.said
    assert errors_in(case.wrong)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_right_is_not_told(case: Case) -> None:
    assert case.right is not None
    assert errors_in(case.right) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_message_says_what_to_write(case: Case) -> None:
    for finding in errors_in(case.wrong):
        assert finding.message and finding.label
        assert not finding.message[0].isupper() or finding.message.split()[0].isidentifier()
        for word in ("invalid", "illegal", "please", "sorry", "oops", "must not", "you "):
            assert word not in f"{finding.message} {finding.help}".lower()


def test_every_code_can_be_explained() -> None:
    told = {d.code for case in CASES for d in found_in(case.wrong)}
    assert len(told) > 70
    assert told <= read_codes().keys()


@pytest.mark.slow
def test_most_specs_are_mended_by_the_first_edits(capsys: pytest.CaptureFixture[str]) -> None:
    healed = Counter(case.page for case in CASES if is_mended(case.wrong))
    all_ = Counter(case.page for case in CASES)
    with capsys.disabled():
        share = healed.total() / len(CASES)
        print(f"\n  {len(CASES)} broken specs, {healed.total()} ({share:.0%}) mended by the first edits")
        print("\n".join(f"  {healed[page]:4} of {count:3}  {page.replace('_', ' ')}" for page, count in all_.items()))
    assert len(CASES) >= 200
    assert healed.total() >= 0.75 * len(CASES)


def test_the_pages_hold_every_block_of_their_own() -> None:
    """No case is lost to a slip in a page's markup, and none stands there twice."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(text.count("```text") for text in texts) == len(CASES)
    assert sum(text.count("\n## ") for text in texts) == len({(case.page, case.title) for case in CASES}) == len(CASES)
    assert len({case.wrong for case in CASES}) == len(CASES)
