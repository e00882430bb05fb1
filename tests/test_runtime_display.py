"""What is shown of a training: on a terminal, in a log, to a program; and that showing never ends a training."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from runtime_cases import gpt, metrics, open_windows
from torch import nn

from dlspec.runtime import Display, Quiet, open_display, train
from dlspec.runtime.display import JsonLines, PlainLines, Title, duration, printable
from dlspec.runtime.panel import CURVE_WIDTH, Curve, Panel

TITLE = Title("GPT", "runs/gpt-1", "CPU, 1 thread", 0, 1000, "tokens", 7200)
SHOWN = {"validate": {"steps": 6}, "sample": {"every": {"steps": 6}, "prompt": "RO"}}


class Terminal(io.StringIO):
    encoding = "utf-8"  # pyright: ignore[reportAssignmentType]

    def isatty(self) -> bool:
        return True


def sampler(model: nn.Module, prompt: str) -> str:
    return prompt + "MEO\x1b[2J\x07"


def watch(display: Display, folder: Path) -> None:
    train(gpt(SHOWN), folder, folder / "run", display=display, open_data=open_windows, sampler=sampler)


def test_plain_lines(tmp_path: Path) -> None:
    out = io.StringIO()
    watch(open_display("auto", out), tmp_path)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("GPT: 7,") and lines[0].endswith(f"12 steps, CPU, 1 thread -> {tmp_path / 'run'}")
    assert re.fullmatch(r"step  1/12  loss \d+\.\d{4}  lr 0\.0015  [\d,]+ tokens/s  \d+ s left", lines[1])
    loss = next(line["loss"] for line in metrics(tmp_path / "run") if line["split"] == "validation")
    assert f"step 6  validation: loss {loss:.4f}" in lines
    assert "step 6  sample: ROMEO\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}" in lines
    assert "\x1b" not in out.getvalue()


def test_plain_lines_are_few() -> None:
    out = io.StringIO()
    display = PlainLines(out)
    display.begin(TITLE)
    for step in range(1, 1001):
        display.step(step, {"loss": 2.5}, {"lr": 1e-3}, 1000.0)
    assert len(out.getvalue().splitlines()) == 1 + 20


def test_rates_of_phases_are_told_apart() -> None:
    losses, rates = {"judge_loss": 1.5, "forge_loss": 0.5}, {"judge_lr": 2e-4, "forge_lr": 1e-3}
    out, terminal = io.StringIO(), Terminal()
    for display in (PlainLines(out), Panel(terminal)):
        display.begin(TITLE)
        display.step(50, losses, rates, 1000.0)
        display.end()
    assert "judge loss 1.5000  forge loss 0.5000  judge lr 0.0002  forge lr 0.001  1,000 tokens/s" in out.getvalue()
    assert re.search(r"judge rate +0\.0002 +1,000 tokens/s", terminal.getvalue())
    assert re.search(r"forge rate +0\.001", terminal.getvalue())


def test_slow_steps_are_shown_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("dlspec.runtime.display.time.monotonic", lambda: now[0])
    out = io.StringIO()
    display = PlainLines(out)
    display.begin(TITLE)
    for step in range(1, 41):
        now[0] += 3.0
        display.step(step, {"loss": 2.5}, {"lr": 1e-3}, 1000.0)
    lines = out.getvalue().splitlines()[1:]
    assert len(lines) == 10
    assert lines[0].endswith("49:48 left"), "996 steps of 3 s"


def test_json_lines_are_the_records(tmp_path: Path) -> None:
    out = io.StringIO()
    watch(open_display("json", out), tmp_path)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {event["schema"] for event in events} == {1}
    assert events[0]["event"] == "begin" and events[0]["steps"] == 12 and events[0]["unit"] == "tokens"
    records = [event for event in events if event["event"] == "record"]
    assert [record["step"] for record in records] == [line["step"] for line in metrics(tmp_path / "run")]
    assert all(record["tokens_per_second"] > 0 for record in records if record["split"] == "train")
    assert [event["step"] for event in events if event["event"] == "sample"] == [6, 12]
    assert [event["step"] for event in events if event["event"] == "checkpoint"] == [12]


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    watch(open_display("quiet", out), tmp_path)
    assert out.getvalue() == "" and capsys.readouterr() == ("", "")


def test_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    display = open_display("auto", out)
    assert isinstance(display, Panel)
    watch(display, tmp_path)
    shown = out.getvalue()
    assert "12 of 12" in shown and "tokens/s" in shown and "validation: loss" in shown
    assert "\x1b[36m" in shown, "the curve has a colour"
    assert "\x1b[2J" not in shown, "what the model says does not steer the terminal"


def test_no_color_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    watch(open_display("auto", out), tmp_path)
    assert "12 of 12" in out.getvalue()
    assert not re.search(r"\x1b\[[\d;]*3[0-7]", out.getvalue())


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display("auto", Terminal()), PlainLines)
    assert isinstance(open_display("json", Terminal()), JsonLines)
    assert isinstance(open_display("quiet", Terminal()), Quiet)


@pytest.mark.parametrize("mode", ["plain", "json"])
def test_a_reader_that_goes_away_does_not_end_the_training(tmp_path: Path, mode: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        watch(open_display("plain" if mode == "plain" else "json", out), tmp_path)
        assert metrics(tmp_path / "run")[-1]["step"] == 12
        with pytest.raises(BrokenPipeError):
            os.write(write, b"x")
        with pytest.raises(BrokenPipeError):
            out.close()


def test_a_terminal_that_goes_away_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    watch(open_display("auto", Gone()), tmp_path)
    assert metrics(tmp_path / "run")[-1]["step"] == 12


@pytest.mark.parametrize("mode", ["auto", "plain"])
def test_an_ascii_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("TERM", "xterm")

    class Ascii(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    out = Ascii(raw, encoding="ascii")
    watch(open_display("auto" if mode == "auto" else "plain", out), tmp_path)
    out.flush()
    assert raw.getvalue().isascii() and b"12" in raw.getvalue()
    assert metrics(tmp_path / "run")[-1]["step"] == 12


def test_the_curve_keeps_its_width_and_its_shape() -> None:
    curve = Curve()
    assert curve.draw() == ""
    for value in range(1000):
        curve.add(float(-value))
        assert len(curve.draw()) <= CURVE_WIDTH
    drawn = curve.draw()
    assert drawn[0] == "█" and drawn[-1] == "▁" and list(drawn) == sorted(drawn, reverse=True)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "1:01"), (3723, "1:02:03")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_printable_text_stays() -> None:
    assert printable("a\tb\nçà и 中") == "a\tb\nçà и 中"
