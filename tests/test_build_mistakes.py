"""Every wrong model in `mistakes/*.md` gets exactly the message that stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source, render

pytestmark = pytest.mark.no_torch
FOLDER = Path(__file__).parent / "mistakes"
SECTION = re.compile(r"^## (?P<name>[^\n]+)\n\n```dlspec\n(?P<spec>.*?)```\n\n```text\n(?P<said>.*?)```\n", re.M | re.S)
CASES = [
    pytest.param(m["spec"], m["said"], id=f"{page.stem}: {m['name']}")
    for page in sorted(FOLDER.glob("*.md"))
    for m in SECTION.finditer(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("spec", "said"), CASES)
def test_the_message_is_the_one_on_the_page(spec: str, said: str) -> None:
    found = analyse(Source("n.dlspec", spec)).diagnostics
    assert "\n\n".join(map(render, found)) + "\n" == said


@pytest.mark.parametrize(("spec", "said"), CASES)
def test_a_fix_cures_its_finding(spec: str, said: str) -> None:
    """Applying the first fix leaves one finding less, and brings no new one of another kind."""
    found = analyse(Source("n.dlspec", spec)).diagnostics
    for diagnostic in found:
        if not diagnostic.fixes:
            continue
        fix = diagnostic.fixes[0]
        mended = spec[: fix.span.start] + fix.text + spec[fix.span.end :]
        after = analyse(Source("n.dlspec", mended)).diagnostics
        assert (diagnostic.code, diagnostic.message) not in {(d.code, d.message) for d in after}


def test_the_pages_are_read() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("json.dlspec", "json_model"),
        ("torch.dlspec", "torch_model"),
        ("my-gpt.dlspec", "my_gpt"),
        ("folder/a b.dlspec", "a_b"),
        ("class.dlspec", "class_model"),
        ("3x.dlspec", "spec_3x"),
    ],
)
def test_a_file_must_have_a_name_that_python_can_import(name: str, other: str) -> None:
    spec = "dlspec 1\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {\n  relu\n}\n"
    (found,) = analyse(Source(name, spec)).diagnostics
    assert (found.code, found.help) == ("file-name", f"call the file `{other}.dlspec`")
    assert analyse(Source(f"folder/{other}.dlspec", spec)).diagnostics == []


def test_more_copies_than_any_network_has_are_refused_at_once() -> None:
    spec = "dlspec 1\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {\n  repeat(1_000_000_000) { relu }\n}\n"
    (found,) = analyse(Source("n.dlspec", spec)).diagnostics
    assert found.code == "wrong-value"
    assert "100,000" in found.message
