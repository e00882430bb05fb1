"""What a person, or a program, sees of a training: a live panel, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TextIO

Mode = Literal["auto", "plain", "json", "quiet"]

# A plain line for every twentieth of the run, and none less often than every so many seconds.
PLAIN_PARTS = 20
PLAIN_SECONDS = 10.0


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
    """Told of everything. Must not take time, and must not raise: a closed pipe is no reason to end a training."""

    def begin(self, title: Title) -> None: ...

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        """After every update; `losses` by name, one a phase; `rates` too, or one that all phases have; `speed` in the
        title's unit per second."""
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


def open_display(mode: Mode = "auto", stream: TextIO | None = None) -> Display:
    """`auto` is a live panel on a terminal (without colour where NO_COLOR is set) and plain lines elsewhere."""
    out = stream or sys.stdout
    if mode == "quiet":
        return Quiet()
    if mode == "json":
        return JsonLines(out)
    if mode == "auto" and out.isatty() and os.environ.get("TERM") != "dumb":
        from .panel import Panel

        return Panel(out)
    return PlainLines(out)


class Quiet:
    """Shows nothing."""

    def begin(self, title: Title) -> None: ...

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None: ...

    def record(self, record: Mapping[str, Any]) -> None: ...

    def sample(self, step: int, text: str) -> None: ...

    def saved(self, step: int) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


class JsonLines(Quiet):
    """One JSON object a line, told apart by "event"; "record" carries the lines of metrics.jsonl."""

    def __init__(self, out: TextIO) -> None:
        self._out = Outlet(out)

    def begin(self, title: Title) -> None:
        self._write("begin", {**vars(title)})

    def record(self, record: Mapping[str, Any]) -> None:
        self._write("record", record)

    def sample(self, step: int, text: str) -> None:
        self._write("sample", {"step": step, "text": text})

    def saved(self, step: int) -> None:
        self._write("checkpoint", {"step": step})

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        self._out.line(json.dumps({"schema": 1, "event": event, **values}))


class PlainLines(Quiet):
    """A line now and then, for logs and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = Outlet(out)
        self._title: Title | None = None
        self._shown_at = 0.0
        self._shown_step = 0

    def begin(self, title: Title) -> None:
        self._title = title
        self._shown_at, self._shown_step = time.monotonic(), title.first
        self._out.line(heading(title))

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        title = self._title
        assert title is not None
        now = time.monotonic()
        part = max(1, title.steps // PLAIN_PARTS)
        if step % part and step != title.steps and now - self._shown_at < PLAIN_SECONDS:
            return
        left = duration((now - self._shown_at) / max(1, step - self._shown_step) * (title.steps - step))
        self._shown_at, self._shown_step = now, step
        self._out.line(
            f"step {step:>{len(str(title.steps))}}/{title.steps}  {_listed(losses)}  {_listed(rates, '.3g')}"
            f"  {speed:,.0f} {title.unit}/s  {left} left"
        )

    def record(self, record: Mapping[str, Any]) -> None:
        if record["split"] != "train":
            self._out.line(f"step {record['step']}  {measures(record)}")

    def sample(self, step: int, text: str) -> None:
        self._out.line(f"step {step}  sample: {text}")

    def note(self, text: str) -> None:
        self._out.line(f"note: {text}")


class Outlet(io.TextIOBase):
    """A stream that takes any text, and goes on taking it when nobody reads it any more."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._read = True
        self._encoding = getattr(out, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  read-only there, too
        return self._encoding

    def isatty(self) -> bool:
        return self._out.isatty()

    def write(self, text: str) -> int:
        shown = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        self._try(lambda: self._out.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(self._out.flush)

    def line(self, text: str) -> None:
        """Write a line, without what would steer a terminal, to be read at once."""
        self.write(f"{printable(text)}\n")
        self.flush()

    def _try(self, act: Callable[[], object]) -> None:
        if not self._read:
            return
        try:
            act()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._read = False


def printable(text: str) -> str:
    """The text without control characters: what a model says must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def heading(title: Title) -> str:
    onward = f" from step {title.first}" if title.first else ""
    return (
        f"{title.name}: {title.parameters:,} parameters, {title.steps:,} steps{onward}, {title.device} -> {title.run}"
    )


def measures(record: Mapping[str, Any]) -> str:
    """ "validation: loss 1.8930, accuracy 0.9694" """
    shown = {key: value for key, value in record.items() if key not in ("step", "split") and not _is_rate(key)}
    return f"{record['split']}: " + ", ".join(f"{key} {figure(value)}" for key, value in shown.items())


def _is_rate(name: str) -> bool:
    """Whether it is the name of a rate in a record: `lr`, or `judge_lr` of the phase `judge`."""
    return name == "lr" or name.endswith("_lr")


def _listed(values: Mapping[str, float], form: str = ".4f") -> str:
    """ "loss 1.8930", "judge loss 0.6931  forge loss 0.7012" """
    return "  ".join(f"{name.replace('_', ' ')} {value:{form}}" for name, value in values.items())


def figure(value: float | None) -> str:
    """ "0.9694", "not finite" """
    return "not finite" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """ "1:02:03", "2:03", "3 s" """
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
