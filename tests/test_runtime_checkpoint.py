"""Checkpoints under faults: whatever fails, whenever, a run goes on from something whole or says why not."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from runtime_cases import gpt, metrics, newest, open_windows, same_weights
from safetensors import SafetensorError

from dlspec.runtime import (
    DiskFull,
    Program,
    Refused,
    Result,
    RuntimeFault,
    durable,
    evaluate,
    records,
    resume,
    rundir,
    train,
)
from dlspec.runtime import checkpoint as checkpoints
from dlspec.runtime.checkpoint import committed, read_checkpoint

OFTEN = {"steps": 6, "checkpoint": {"every": {"steps": 2}, "keep": 2}, "validate": {"steps": 3}}


def start(program: Program, run: Path, **options: Any) -> Result:
    return train(program, run.parent, run, open_data=open_windows, **options)


def go_on(program: Program, run: Path, **options: Any) -> Result:
    return resume(program, run, open_data=open_windows, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("whole") / "run"
    start(gpt(OFTEN), run)
    return run


class Death(BaseException):
    """The process ended here: nothing that it would still have done was done."""


class Faults:
    """Counts everything that changes the disk, and lets the chosen one fail.

    `fault` is raised there, after half of a write was done. With Death everything after it fails too, so that no
    cleaning up takes place, as in a process that was killed.
    """

    def __init__(self, at: int | None, fault: Callable[[], BaseException]) -> None:
        self.at = at
        self.fault = fault
        self.count = 0
        self.dead = False

    def strike(self, before: Callable[[], object] = lambda: None) -> None:
        if self.dead:
            raise Death
        self.count += 1
        if self.count - 1 == self.at:
            before()
            fault = self.fault()
            self.dead = isinstance(fault, Death)
            raise fault

    @contextmanager
    def installed(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in ((os, "fsync"), (os, "rename"), (os, "replace"), (os, "pwrite"), (os, "mkdir")):
                self._guard(patch, owner, name)
            for owner, name in ((shutil, "rmtree"), (os, "unlink"), (os, "ftruncate")):
                self._guard(patch, owner, name, counts=False)
            self._halve(patch, checkpoints, "save_file", lambda path: path.write_bytes(path.read_bytes()[:100]))
            for module in (checkpoints, durable, rundir):
                self._halve(patch, module, "write_synced", lambda path: path.write_bytes(path.read_bytes()[:20]))
            yield

    def _guard(self, patch: pytest.MonkeyPatch, owner: Any, name: str, counts: bool = True) -> None:
        real = getattr(owner, name)

        def guarded(*arguments: Any, **options: Any) -> Any:
            # Where a folder is there, whether it can be made does not matter.
            if counts and not (name == "mkdir" and os.path.isdir(arguments[0])):
                self.strike()
            elif self.dead:
                raise Death
            return real(*arguments, **options)

        patch.setattr(owner, name, guarded)

    def _halve(self, patch: pytest.MonkeyPatch, owner: Any, name: str, halve: Callable[[Path], object]) -> None:
        real = getattr(owner, name)

        def guarded(*arguments: Any) -> Any:
            (path,) = (argument for argument in arguments if isinstance(argument, Path))

            def half() -> None:
                with pytest.MonkeyPatch.context() as calm:
                    calm.setattr(os, "fsync", lambda descriptor: None)
                    real(*arguments)
                halve(path)

            self.strike(half)
            return real(*arguments)

        patch.setattr(owner, name, guarded)


def count_events(tmp_path: Path) -> int:
    faults = Faults(None, Death)
    with faults.installed():
        start(gpt(OFTEN), tmp_path / "counted")
    return faults.count


# All of them in the slow proofs; every eleventh, from another start for each test, in the fast ones.
SOME = [11, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("stride", SOME)
def test_death_at_every_write_of_a_run(tmp_path: Path, whole: Path, stride: int) -> None:
    events = count_events(tmp_path)
    assert events > 60
    for at in range(0, events, stride):
        run = tmp_path / f"run-{at}"
        with Faults(at, Death).installed(), pytest.raises(Death):
            start(gpt(OFTEN), run)
        if not run.exists():  # it died before there was a run
            start(gpt(OFTEN), run)
        for one in committed(run / "checkpoints"):
            read_checkpoint(one)
        result = go_on(gpt(OFTEN), run)
        assert result.finished == "steps", at
        assert same_weights(run, whole), at
        assert metrics(run) == metrics(whole), at
        assert not list((run / "checkpoints").glob("*.tmp")), at


@pytest.mark.parametrize("stride", SOME)
def test_death_at_every_write_of_resuming(tmp_path: Path, whole: Path, stride: int) -> None:
    """Twice dead: the second time while the leavings of the first are cleared away."""
    first = tmp_path / "first"
    with Faults(count_events(tmp_path) // 2, Death).installed(), pytest.raises(Death):
        start(gpt(OFTEN), first)
    at = 1 % stride
    while True:
        run = tmp_path / f"run-{at}"
        shutil.copytree(first, run)
        try:
            with Faults(at, Death).installed():
                go_on(gpt(OFTEN), run)
            break
        except Death:
            go_on(gpt(OFTEN), run)
            assert same_weights(run, whole) and metrics(run) == metrics(whole), at
        at += stride
    assert at > 20


FULL = {
    "no space": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "quota": lambda: OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    "safetensors": lambda: SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    "torch": lambda: RuntimeError(
        "[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file"
    ),
}


@pytest.mark.parametrize("stride", SOME)
@pytest.mark.parametrize("kind", FULL)
def test_a_full_disk_at_every_write_of_a_run(tmp_path: Path, whole: Path, kind: str, stride: int) -> None:
    first = list(FULL).index(kind) % stride
    for at in range(first, count_events(tmp_path), stride):
        run = tmp_path / f"run-{at}"
        with Faults(at, FULL[kind]).installed(), pytest.raises(DiskFull, match="the disk is full") as caught:
            start(gpt(OFTEN), run)
        assert caught.value.exit_code == 4, at
        if not run.exists():
            assert not [path for path in tmp_path.iterdir() if path.name.startswith(f".run-{at}.")], at
            continue
        assert not list((run / "checkpoints").glob("*.tmp")), at
        for one in committed(run / "checkpoints"):
            read_checkpoint(one)
        assert go_on(gpt(OFTEN), run).finished == "steps", at
        assert same_weights(run, whole) and metrics(run) == metrics(whole), at


def test_another_failure_of_the_disk_is_told_as_it_is(tmp_path: Path) -> None:
    fault = Faults(30, lambda: OSError(errno.EIO, os.strerror(errno.EIO)))
    with fault.installed(), pytest.raises(RuntimeFault, match=r"could not be written: .*Input/output error") as caught:
        start(gpt(OFTEN), tmp_path / "run")
    assert caught.value.exit_code == 1 and not isinstance(caught.value, DiskFull)


def test_too_little_space_is_seen_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(gpt(OFTEN), tmp_path / "run", until=3)
    kept = newest(tmp_path / "run")
    size = sum(path.stat().st_size for path in kept.glob("*.safetensors"))
    usage = shutil.disk_usage(tmp_path)._replace(free=size // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match=r"a checkpoint needs \S+ MB and \S+ MB are free"):
        go_on(gpt(OFTEN), tmp_path / "run")
    assert newest(tmp_path / "run") == kept
    monkeypatch.undo()
    assert go_on(gpt(OFTEN), tmp_path / "run").finished == "steps"


def test_a_limit_on_the_size_of_files(tmp_path: Path, whole: Path) -> None:
    """The system's own refusal, through Python and through safetensors."""
    run = tmp_path / "run"
    start(gpt(OFTEN), run, until=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(DiskFull) as caught:
            go_on(gpt(OFTEN), run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the checkpoint of step 2 could not be written" in caught.value.message
    assert not list((run / "checkpoints").glob("*.tmp"))
    assert go_on(gpt(OFTEN), run).finished == "steps"
    assert same_weights(run, whole) and metrics(run) == metrics(whole)


def test_a_small_disk(tmp_path: Path, whole: Path) -> None:
    """A real file system of 400 KiB, which holds some checkpoints of 96 KiB and not all."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        run = disk / "run"
        with pytest.raises(DiskFull) as caught:
            start(gpt({**OFTEN, "checkpoint": {"every": {"steps": 2}, "keep": 9}, "steps": 20}), run)
        assert caught.value.exit_code == 4
        assert not list((run / "checkpoints").glob("*.tmp"))
        assert len(committed(run / "checkpoints")) >= 2
        shutil.copytree(run, tmp_path / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    program = gpt({**OFTEN, "steps": 20})
    start(program, tmp_path / "other")
    go_on(program, tmp_path / "run")
    assert same_weights(tmp_path / "run", tmp_path / "other")


def test_a_log_that_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(records.os, "pwrite", lambda file, line, at: real(file, line[:7], at))
    log = records.Records(tmp_path / "log")
    log.write({"step": 1, "text": "a long line"})
    log.close()
    assert json.loads((tmp_path / "log").read_text()) == {"step": 1, "text": "a long line"}


# --- damage ---------------------------------------------------------------------------------------------------------


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "COMMIT"])
@pytest.mark.parametrize(("place", "bit"), [(0.0, 0), (0.3, 5), (0.9, 0), (1.0, 1)])
def test_one_bit_is_found_and_the_way_out_named(tmp_path: Path, whole: Path, name: str, place: float, bit: int) -> None:
    run = tmp_path / "run"
    start(gpt(OFTEN), run, until=5)
    broken = newest(run) / name
    flip(broken, round(place * (broken.stat().st_size - 1)), bit)
    with pytest.raises(Refused, match="step-000005 is damaged") as caught:
        go_on(gpt(OFTEN), run)
    assert "of step 4, is whole: go on from there with `--checkpoint 4`" in caught.value.help
    with pytest.raises(Refused, match="step-000005 is damaged"):
        evaluate(gpt(OFTEN), run, open_data=open_windows)
    assert go_on(gpt(OFTEN), run, checkpoint=4).finished == "steps"
    assert same_weights(run, whole) and metrics(run) == metrics(whole)


def test_the_newest_whole_one_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(gpt({**OFTEN, "checkpoint": {"every": {"steps": 1}, "keep": 9}}), run)
    for step in (6, 5, 3):
        flip(run / "checkpoints" / f"step-{step:06d}" / "model.safetensors", -1)
    with pytest.raises(Refused) as caught:
        evaluate(gpt(OFTEN), run, open_data=open_windows)
    assert "of step 4, is whole" in caught.value.help
    with pytest.raises(Refused) as caught:
        evaluate(gpt(OFTEN), run, checkpoint=3, open_data=open_windows)
    assert "of step 2, is whole" in caught.value.help
    for step in (1, 2, 4):
        (run / "checkpoints" / f"step-{step:06d}" / "state.json").unlink()
    with pytest.raises(Refused) as caught:
        evaluate(gpt(OFTEN), run, open_data=open_windows)
    assert "There is no whole one before it" in caught.value.help


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_missing_or_shorter_file_is_named(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    start(gpt(OFTEN), run, until=5)
    file = newest(run) / name
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(Refused, match=f"{name} has {len(content) - 1} bytes, {len(content)} were written"):
        go_on(gpt(OFTEN), run)
    file.unlink()
    with pytest.raises(Refused, match=f"{name} is missing"):
        go_on(gpt(OFTEN), run)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start(gpt(OFTEN), run, until=5)
    commit = newest(run) / "COMMIT"
    body = json.loads(commit.read_text())
    commit.write_text(json.dumps({**body, "format": 2}))
    with pytest.raises(Refused, match="has format 2, this dlspec reads formats up to 1"):
        go_on(gpt(OFTEN), run)


def test_what_a_crash_leaves_is_passed_over(tmp_path: Path, whole: Path) -> None:
    run = tmp_path / "run"
    start(gpt(OFTEN), run, until=5)
    folder = run / "checkpoints"
    shutil.copytree(newest(run), folder / "step-000006.tmp")
    shutil.copytree(newest(run), folder / "step-000006")
    (folder / "step-000006" / "COMMIT").unlink()
    (folder / "latest").write_text("step-000006\n")
    (folder / "latest.tmp").write_text("half")
    assert go_on(gpt(OFTEN), run).finished == "steps"
    assert same_weights(run, whole)
    assert {path.name for path in folder.iterdir()} == {"step-000005", "step-000006", "latest"}


def test_what_is_kept(tmp_path: Path) -> None:
    for keep, steps in ((1, [9, 10]), (2, [9, 10]), (4, [7, 8, 9, 10])):
        run = tmp_path / f"keep-{keep}"
        start(gpt({"steps": 10, "checkpoint": {"every": {"steps": 1}, "keep": keep}}), run)
        assert [one.step for one in committed(run / "checkpoints")] == steps
        assert (run / "checkpoints" / "latest").read_text() == "step-000010\n"


def test_an_old_one_goes_only_when_the_new_one_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    real = checkpoints.delete_checkpoint

    def watch(one: checkpoints.Checkpoint) -> None:
        seen.append([one.step for one in committed(one.path.parent)])
        real(one)

    monkeypatch.setattr(checkpoints, "delete_checkpoint", watch)
    start(gpt({"steps": 5, "checkpoint": {"every": {"steps": 1}, "keep": 2}}), tmp_path / "run")
    assert seen == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_state_is_kept_by_name_in_full_precision(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    start(gpt({**OFTEN, "precision": "bf16"}), tmp_path / "run")
    state = load_file(newest(tmp_path / "run") / "optimizer.safetensors")
    names = dict(gpt().make_model().named_parameters())
    assert set(state) == {f"{name}/{key}" for name in names for key in ("step", "exp_avg", "exp_avg_sq")}
    assert {str(tensor.dtype) for tensor in state.values()} == {"torch.float32"}
    described = json.loads((newest(tmp_path / "run") / "state.json").read_text())
    assert described["step"] == 6 and described["samples_seen"] == 48 and described["machine"]["torch"]
