"""The codes of `dlspec check`, read from the two pages that document them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
PAGES = (_ROOT / "grammar" / "mistakes.md", _ROOT / "cli" / "mistakes.md")
_SPEC = re.compile(r"^```dlspec\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Code:
    """`wrong` is a spec that has the mistake, `right` one beside it that has not; None where it is none of a text."""

    name: str
    text: str
    wrong: str | None
    right: str | None


def read_codes() -> dict[str, Code]:
    """Every code by its name."""
    found: dict[str, Code] = {}
    for page in PAGES:
        _, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for section in sections:
            code = _read(section)
            found.setdefault(code.name, code)
    return found


def _read(section: str) -> Code:
    title, _, body = section.partition("\n")
    specs = _SPEC.findall(body)
    wrong, right = specs[:2] if len(specs) >= 2 else (None, None)
    return Code(title.strip(), body.partition("```")[0].strip(), wrong, right)
