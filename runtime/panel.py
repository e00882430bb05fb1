"""The live panel of a training on a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import IO, Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel as Frame
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .display import Outlet, Quiet, Title, duration, heading, measures, printable

# Drawing takes some milliseconds: this seldom, it costs the training next to nothing.
SECONDS_BETWEEN_FRAMES = 0.5
BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 48


class Panel(Quiet):
    """Step, loss with its curve, learning rate, speed and time left, redrawn in place; notes scroll above."""

    def __init__(self, out: TextIO) -> None:
        outlet = Outlet(out)
        self._console = Console(file=cast("IO[str]", outlet), highlight=False)  # rich honours NO_COLOR
        # Drawn from the training's own thread: another one would take its turns from it.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._title: Title | None = None
        self._draws = outlet.encoding.lower().startswith("utf")
        self._curves: dict[str, Curve] = {}
        self._last: tuple[int, Mapping[str, float], Mapping[str, float], float] | None = None
        self._validation: Mapping[str, Any] | None = None
        self._begun = self._drawn = 0.0

    def begin(self, title: Title) -> None:
        self._title, self._begun = title, time.monotonic()
        self._say(heading(title))
        self._live.start()

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        for name, loss in losses.items() if self._draws else ():
            self._curves.setdefault(name, Curve()).add(loss)
        self._last = step, losses, rates, speed
        now = time.monotonic()
        if now - self._drawn >= SECONDS_BETWEEN_FRAMES:
            self._drawn = now
            self._live.update(self._frame(), refresh=True)

    def record(self, record: Mapping[str, Any]) -> None:
        if record["split"] != "train":
            self._validation = record

    def sample(self, step: int, text: str) -> None:
        self._say(f"step {step}  sample: {text}")

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def end(self) -> None:
        self._live.stop()
        if self._last is not None:
            self._console.print(self._frame())

    def _say(self, text: str) -> None:
        self._console.print(printable(text), markup=False)

    def _frame(self) -> RenderableType:
        title = self._title
        assert title is not None and self._last is not None
        step, losses, rates, speed = self._last
        taken = time.monotonic() - self._begun
        left = duration(taken / max(1, step - title.first) * (title.steps - step))
        table = Table.grid(padding=(0, 2))
        table.add_row("step", f"{step:,} of {title.steps:,}", f"{left} left")
        for name, loss in losses.items():
            curve = self._curves[name].draw() if self._draws else ""
            table.add_row(name.replace("_", " "), f"{loss:.4f}", Text(curve, style="cyan"))
        speeds = [f"{speed:,.0f} {title.unit}/s"] + [""] * (len(rates) - 1)
        for (name, rate), told in zip(rates.items(), speeds, strict=True):
            table.add_row(f"{name.removesuffix('lr').replace('_', ' ')}rate", f"{rate:.3g}", told)
        rows = Table.grid(expand=True)
        rows.add_row(ProgressBar(title.steps, step))
        rows.add_row(table)
        if self._validation is not None:
            rows.add_row(Text(f"step {self._validation['step']:,}  {measures(self._validation)}"))
        return Frame(rows, title=title.name, width=min(84, self._console.width))


class Curve:
    """The course of a loss in a row of bars: means over equal stretches, which double when the row is full."""

    def __init__(self) -> None:
        self._means: list[float] = []
        self._stretch = 1
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        self._sum += value
        self._count += 1
        if self._count < self._stretch:
            return
        self._means.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self._means) == CURVE_WIDTH:
            pairs = zip(self._means[::2], self._means[1::2], strict=True)
            self._means = [(one + other) / 2 for one, other in pairs]
            self._stretch *= 2

    def draw(self) -> str:
        if not self._means:
            return ""
        low, high = min(self._means), max(self._means)
        scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
        return "".join(BARS[round((mean - low) * scale)] for mean in self._means)
