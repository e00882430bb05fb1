"""The productions of the grammar, as the parser is built from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dlspec
from dlspec.compiler.semantics.language import RESERVED

_LINES = (Path(dlspec.__file__).parent / "grammar" / "dlspec.lark").read_text(encoding="utf-8").splitlines()


def productions(names: Sequence[str]) -> str:
    """The named productions in the order of the grammar; all of it without a name. Raises ValueError for a name that
    it has not."""
    rules: list[tuple[str, list[str]]] = []
    for line in _LINES:
        if line.startswith((" ", "|")) and rules:
            rules[-1][1].append(line)
        else:
            rules.append((line.partition(":")[0].strip("? ").partition(".")[0], [line]))
    unknown = set(names) - {name for name, _ in rules}
    if unknown:
        raise ValueError(f"the grammar has no {', '.join(sorted(unknown))}")
    chosen = [line for name, lines in rules if not names or name in names for line in lines]
    return "\n".join(["```text", *chosen, "```"])


def reserved(names: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(RESERVED))
