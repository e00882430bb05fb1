"""What a person, or a program, sees of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Title:
    """What is trained: shown once, at the beginning. `unit` is what speed is counted in (tokens, samples)."""

    name: str
    run: str
    device: str
    first: int
    steps: int
    unit: str
    parameters: int


class Display(Protocol):
    """Told of everything; must not take time or raise."""

    def begin(self, title: Title) -> None: ...

    def step(self, step: int, loss: float, rate: float, speed: float) -> None:
        """After every update; `speed` in the title's unit per second."""
        ...

    def record(self, record: Mapping[str, Any]) -> None:
        """A line of metrics.jsonl."""
        ...

    def sample(self, step: int, text: str) -> None: ...

    def saved(self, step: int) -> None:
        """A checkpoint was committed."""
        ...

    def note(self, text: str) -> None:
        """Something that one should know, such as what differs from the machine of before."""
        ...

    def end(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def begin(self, title: Title) -> None: ...

    def step(self, step: int, loss: float, rate: float, speed: float) -> None: ...

    def record(self, record: Mapping[str, Any]) -> None: ...

    def sample(self, step: int, text: str) -> None: ...

    def saved(self, step: int) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...
