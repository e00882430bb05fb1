"""What is not taken from a file, and not looked for in it."""

from __future__ import annotations

from dataclasses import dataclass

from .pattern import Pattern


@dataclass(frozen=True)
class Skip:
    """What is not taken: a module of the model, or with `pattern` also what has such a name in the file."""

    name: str
    pattern: bool

    def matches(self, name: str) -> bool:
        text = self.name
        return Pattern(text).match(name) is not None if self.pattern else name == text or name.startswith(f"{text}.")
