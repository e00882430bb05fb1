"""Names with `*`: `h.*.ln_1` stands for what begins with it, whatever stands at the `*`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Pattern:
    """The names of a module, or of a part of it, and of all inside; a `*` is some of one level."""

    text: str

    def match(self, name: str) -> Match | None:
        found = self._expression.fullmatch(name)
        return None if found is None else Match(found.groups()[:-1], found.groups()[-1])

    def filled(self, match: Match) -> str:
        """The name that has at its own `*` and behind it what another had there."""
        first, *parts = self.text.split("*")
        between = (f"{star}{part}" for star, part in zip(match.stars, parts, strict=True))
        return f"{first}{''.join(between)}{match.rest}"

    @property
    def precision(self) -> tuple[int, int]:
        """Of several that match a name, the one with the most levels counts, then that with the most letters."""
        return self.text.count(".") + 1, len(self.text) - self.text.count("*")

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        stars = r"([^.]+)".join(map(re.escape, self.text.split("*")))
        return re.compile(rf"{stars}((?:\..+)?)")


@dataclass(frozen=True)
class Match:
    """What stood at each `*`, and what came behind the pattern."""

    stars: tuple[str, ...]
    rest: str
