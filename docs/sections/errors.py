"""The codes of `dlspec check`: one table is test, `dlspec explain` and this page."""

from __future__ import annotations

from collections.abc import Sequence

from dlspec.cli.codes import Code, read_codes
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source, render

from .markdown import entry


def codes(names: Sequence[str]) -> str:
    found = read_codes()
    return "\n\n".join(_entry(found[name]) for name in sorted(found))


def _entry(code: Code) -> str:
    if code.wrong is None or code.right is None:
        return entry(code.name, code.text)
    said = [d for d in analyse(Source("spec.dlspec", code.wrong)).diagnostics if d.code == code.name]
    return entry(
        code.name,
        code.text,
        f"```dlspec with {code.name}\n{code.wrong.rstrip()}\n```",
        "```text\n" + "\n\n".join(map(render, said)).rstrip() + "\n```",
        f"```dlspec without {code.name}\n{code.right.rstrip()}\n```",
    )
