"""Writes what is said now into the pages of mistakes:  python tests/update_messages.py

For after a wording was changed on purpose; the difference that git shows is to be read as prose.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mistake_pages import ROOT, rewritten

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source, parse, render


def said_of_text(text: str) -> str:
    return "\n".join(map(render, parse(Source("spec.dlspec", text))[1])) + "\n"


def said_of_model(text: str) -> str:
    return "\n\n".join(map(render, analyse(Source("n.dlspec", text)).diagnostics)) + "\n"


PAGES: list[tuple[Path, Callable[[str], str]]] = [
    (ROOT.parent / "grammar" / "mistakes.md", said_of_text),
    *((page, said_of_model) for page in sorted((ROOT / "mistakes").glob("*.md"))),
    *((page, said_of_model) for page in sorted((ROOT / "corpus").glob("*.md"))),
]


if __name__ == "__main__":
    for page, say in PAGES:
        text = rewritten(page, say)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8", newline="\n")
            print(f"rewritten: {page.relative_to(ROOT.parent)}")
