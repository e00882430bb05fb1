"""A training leaves no trace in the process, and two in two threads compute what each would compute alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from runtime_cases import SGD, gpt, metrics, open_windows, same_weights
from torch import Tensor

from dlspec.runtime import Diverged, Refused, resume, train
from dlspec.runtime.device import choose_device, device_faults_are_told
from dlspec.runtime.isolation import CPU_PRECISIONS, CUBLAS, CUDA_PRECISIONS, Wanted, borrow
from dlspec.runtime.learner import HALVES
from dlspec.runtime.settings import Precision


def state() -> dict[str, Any]:
    """Everything of the process that a training could change."""
    backends = torch.backends
    return {
        "random": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,  # pyright: ignore[reportAttributeAccessIssue]
        "benchmark": backends.cudnn.benchmark,
        "precision": torch.get_float32_matmul_precision(),
        "cuda": (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32),
        "mkldnn": backends.mkldnn.matmul.fp32_precision,  # pyright: ignore[reportAttributeAccessIssue]
        "onednn": backends.mkldnn.enabled,
        "grad": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What PyTorch itself sets when an optimizer first loads its compiler (a folder for caches) is not ours."""
    folder = tmp_path_factory.mktemp("first")
    train(gpt(), folder, folder / "run", open_data=open_windows, until=1)


def diverge(folder: Path) -> None:
    with pytest.raises(Diverged):
        train(gpt(optimizer=SGD, rate="1e30"), folder, folder / "wild", open_data=open_windows)


def refused(folder: Path) -> None:
    with pytest.raises(Refused):
        train(gpt({"batch": 400}), folder, folder / "large", open_data=open_windows)


def stop_and_resume(folder: Path) -> None:
    train(gpt({"precision": "bf16"}), folder, folder / "run", open_data=open_windows, until=3)
    resume(gpt({"precision": "bf16"}), folder / "run", open_data=open_windows, threads=2)


@pytest.mark.parametrize("act", [diverge, refused, stop_and_resume])
def test_global_state_is_put_back(tmp_path: Path, act: Callable[[Path], None]) -> None:
    torch.manual_seed(1234)
    before = state()
    act(tmp_path)
    assert state() == before


def test_a_state_that_is_not_the_default_is_put_back_and_changes_nothing(tmp_path: Path) -> None:
    train(gpt(), tmp_path, tmp_path / "calm", open_data=open_windows)
    found = (torch.get_float32_matmul_precision(), torch.get_deterministic_debug_mode())
    try:
        torch.set_float32_matmul_precision("medium")  # would let oneDNN multiply in bf16
        torch.set_deterministic_debug_mode("warn")
        before = state()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            train(gpt(), tmp_path, tmp_path / "odd", open_data=open_windows)
        assert state() == before
    finally:
        torch.set_float32_matmul_precision(found[0])
        torch.set_deterministic_debug_mode(found[1])
    assert same_weights(tmp_path / "calm", tmp_path / "odd")


def test_inside_a_turn_the_state_is_the_wanted_one() -> None:
    with borrow(Wanted(torch.device("cpu"), True, "fp32")) as turn, turn:
        assert torch.are_deterministic_algorithms_enabled() and torch.is_grad_enabled()
        backends = torch.backends
        assert backends.cuda.matmul.fp32_precision == "ieee"
        assert [len(paths) for paths in (CPU_PRECISIONS, CUDA_PRECISIONS)] == [3, 3]
    with borrow(Wanted(torch.device("cpu"), False, "fp32")) as turn, turn:
        assert not torch.are_deterministic_algorithms_enabled()
    assert CUBLAS not in os.environ


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_onednn_is_left_out_where_it_lacks_the_precision(
    precision: Precision, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlspec.runtime.isolation.onednn_computes", lambda asked: able or asked == "fp32")
    before = torch.backends.mkldnn.enabled
    with borrow(Wanted(torch.device("cpu"), True, precision)) as turn, turn:
        assert torch.backends.mkldnn.enabled is (able or precision == "fp32")
    assert torch.backends.mkldnn.enabled is before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_recurrent_layers_run_in_half_precision_on_any_cpu(
    kind: Callable[..., torch.nn.RNNBase], precision: Precision
) -> None:
    torch.manual_seed(0)
    layer, x = kind(4, 8, bidirectional=True), torch.randn(5, 3, 4)
    exact, _ = layer(x)
    with borrow(Wanted(torch.device("cpu"), True, precision)) as turn, turn, torch.autocast("cpu", HALVES[precision]):
        found, _ = layer(x)
        found.float().sum().backward()
    torch.testing.assert_close(found.float(), exact, rtol=0.05, atol=0.05)


def in_threads(*works: Callable[[], object]) -> None:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_trainings_in_two_threads(tmp_path: Path) -> None:
    """With dropout, different seeds, determinism and precision: each under its own state, step by step."""
    programs = {
        "one": gpt({"seed": 1, "steps": 60, "accumulate": 2, "validate": {"steps": 7}}, drop=0.3),
        "two": gpt({"seed": 2, "steps": 60, "deterministic": False, "precision": "bf16"}, drop=0.2),
    }
    for name, program in programs.items():
        train(program, tmp_path, tmp_path / f"{name} alone", open_data=open_windows)
    torch.manual_seed(77)
    before = state()

    def work(name: str) -> Callable[[], object]:
        run = tmp_path / f"{name} beside"
        return lambda: train(programs[name], tmp_path, run, open_data=open_windows)

    in_threads(work("one"), work("two"))
    assert state() == before
    for name in programs:
        assert same_weights(tmp_path / f"{name} alone", tmp_path / f"{name} beside"), name
        assert metrics(tmp_path / f"{name} alone") == metrics(tmp_path / f"{name} beside"), name


CHECKPOINTED = {
    "            x = block(x)\n": (
        "            x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)\n"
    ),
    "import torch\n": "import torch\nimport torch.utils.checkpoint\n",
}


def test_recomputed_dropout_in_two_threads(tmp_path: Path) -> None:
    """Checkpointing puts back the random state in the middle of the backward pass: that is part of the turn."""
    from dataclasses import replace

    from runtime_cases import replace_all

    def program(seed: int) -> Any:
        base = gpt({"seed": seed, "steps": 40}, drop=0.3)
        return replace(base, model_code=replace_all(base.model_code, CHECKPOINTED))

    train(program(1), tmp_path, tmp_path / "alone", open_data=open_windows)
    train(gpt({"seed": 1, "steps": 40}, drop=0.3), tmp_path, tmp_path / "plain", open_data=open_windows)
    assert same_weights(tmp_path / "alone", tmp_path / "plain"), "recomputing changes no bit"
    in_threads(
        lambda: train(program(1), tmp_path, tmp_path / "beside", open_data=open_windows),
        lambda: train(program(2), tmp_path, tmp_path / "other", open_data=open_windows),
    )
    assert same_weights(tmp_path / "alone", tmp_path / "beside")


def test_a_turn_is_not_shared() -> None:
    """While one has its turn, another waits."""
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with borrow(Wanted(torch.device("cpu"), True, "fp32")) as turn, turn:
            inside.set()
            order.append("first begins")
            threading.Event().wait(0.1)
            order.append("first ends")

    def second() -> None:
        inside.wait(5)
        with borrow(Wanted(torch.device("cpu"), False, "fp32")) as turn, turn:
            order.append("second")

    in_threads(first, second)
    assert order == ["first begins", "first ends", "second"]


# --- the device -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "mps", "", "cpu:0:1"])
def test_devices_that_are_none(name: str) -> None:
    with pytest.raises(Refused, match="there is no device"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(Refused, match="PyTorch cannot use CUDA here") as caught:
        choose_device("cuda")
    assert "--device cpu" in caught.value.help


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory of the device is full"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "the memory of the device is full"),
        (RuntimeError("cumsum_cuda does not have a deterministic implementation, but"), "cumsum_cuda has no"),
    ],
)
def test_what_asks_too_much_of_the_device_is_told(error: RuntimeError, words: str) -> None:
    with pytest.raises(Refused, match=words), device_faults_are_told():
        raise error


def test_other_errors_of_the_device_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="shapes"), device_faults_are_told():
        torch.mm(Tensor(2, 3), Tensor(2, 3))
