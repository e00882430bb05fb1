"""Signals: the first is obeyed when everything is saved, the second at once; and nothing survives of being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runtime_cases import Windows, gpt, metrics, open_windows, same_weights
from torch import Tensor

from dlspec.runtime import Stopped, resume, train
from dlspec.runtime.data import Data
from dlspec.runtime.signals import SIGNALS, stop_requests

# A process that trains or goes on, says "begun" when the loop is about to run, and ends with the fault's exit code.
DRIVER = """
import sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from pathlib import Path
from runtime_cases import gpt, open_windows
from dlspec.runtime import Quiet, RuntimeFault, resume, train

class Begun(Quiet):
    def begin(self, title):
        print("begun", flush=True)
    def step(self, step, losses, rates, speed):
        time.sleep({pause})

def slow(*arguments, **options):
    print("opening", flush=True)
    time.sleep({opening})
    return open_windows(*arguments, **options)

try:
    program, run = gpt({settings!r}), Path({run!r})
    if run.exists():
        resume(program, run, display=Begun(), open_data=slow)
    else:
        train(program, run.parent, run, display=Begun(), open_data=slow)
except RuntimeFault as fault:
    print(fault.message, fault.help, sep="\\n", flush=True)
    sys.exit(fault.exit_code)
"""
MANY = {"steps": 100_000, "checkpoint": {"every": None, "keep": 2}}


def launch(run: Path, *, pause: float = 0.002, opening: float = 0.0) -> subprocess.Popen[str]:
    tests = str(Path(__file__).parent)
    code = DRIVER.format(tests=tests, pause=pause, opening=opening, settings=MANY, run=str(run))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    while line.strip() != word:
        assert line, process.communicate()[1]
        line = process.stdout.readline()


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.slow) for one in SIGNALS if one != signal.SIGINT)],
    ids=lambda number: number.name,
)
def test_the_first_signal_saves_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    process = launch(tmp_path / "run")
    wait_for(process, "begun")
    time.sleep(0.3)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert f"stopped by {number.name} after step" in out and f"dlspec resume {tmp_path / 'run'}" in out
    step = len(metrics(tmp_path / "run"))
    assert step < MANY["steps"]
    result = resume(gpt(MANY), tmp_path / "run", open_data=open_windows, until=400)
    assert result.step == 400
    train(gpt(MANY), tmp_path, tmp_path / "whole", open_data=open_windows, until=400)
    assert same_weights(tmp_path / "run", tmp_path / "whole")


def test_before_there_is_anything_to_save(tmp_path: Path) -> None:
    process = launch(tmp_path / "run", opening=20)
    wait_for(process, "opening")
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "nothing to save" in out and not (tmp_path / "run").exists()


def test_resuming_stopped_before_its_first_step_loses_nothing(tmp_path: Path) -> None:
    train(gpt(MANY), tmp_path, tmp_path / "run", open_data=open_windows, until=3)
    process = launch(tmp_path / "run", opening=20)
    wait_for(process, "opening")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "everything was saved before" in out


def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = launch(tmp_path / "run", pause=30)
    wait_for(process, "begun")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM


class Ticking(Windows):
    """A validation that would take for ever, and in which the signal comes with the fifth batch."""

    asked = 0

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        self.asked += 1
        if self.asked == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        assert self.asked < 8, "validation goes on after the signal"
        return super().batch(epoch, ids)


def test_a_signal_is_heard_in_validation(tmp_path: Path) -> None:
    def ticking(settings_data: dict[str, Any], *, base: Path, seed: int) -> Data:
        return replace(open_windows(settings_data, base=base, seed=seed), validation=Ticking(4000))

    with pytest.raises(Stopped, match="after step 4 of 12") as caught:
        train(gpt({"validate": {"steps": 4}}), tmp_path, tmp_path / "run", open_data=ticking)
    assert caught.value.saved and caught.value.exit_code == 75
    assert [line["split"] for line in metrics(tmp_path / "run")] == ["train"] * 4


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_handlers_are_put_back() -> None:
    def mine(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGTERM, mine)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with stop_requests(saved=False) as request:
        assert signal.getsignal(signal.SIGTERM) is not mine
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN, "what is ignored was meant to be"
        request.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is mine
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_other_threads_do_not_listen() -> None:
    seen = []

    def listen() -> None:
        with stop_requests(saved=False) as request:
            seen.append((bool(request), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


# --- killed ---------------------------------------------------------------------------------------------------------

# Forks from a process that has torch already: each child trains or resumes and is killed after a while. The parent
# only forks, so no threads of its own can be lost.
KILLS = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from pathlib import Path
from runtime_cases import gpt, open_windows
from dlspec.runtime import resume, train
import dlspec.runtime.data

program, run, chance = gpt({settings!r}), Path({run!r}), random.Random(1)
kills = 0
while True:
    child = os.fork()
    if child == 0:
        if run.exists():
            resume(program, run, open_data=open_windows)
        else:
            train(program, run.parent, run, open_data=open_windows)
        os._exit(0)
    deadline = time.monotonic() + (chance.uniform(0.02, 0.4) if kills < 25 else 600)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            break
        time.sleep(0.001)
    if done:
        print(kills, status)
        sys.exit(0 if status == 0 else 1)
"""


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Twenty times and more, each time taken up again: the weights are those of the run that was never stopped."""
    often = {"steps": 3000, "checkpoint": {"every": {"steps": 7}, "keep": 3}, "validate": {"steps": 50}, "clip": 1.0}
    code = KILLS.format(tests=str(Path(__file__).parent), settings=often, run=str(tmp_path / "run"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 20, "killed too seldom for this to be a proof"
    train(gpt(often), tmp_path, tmp_path / "whole", open_data=open_windows)
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
