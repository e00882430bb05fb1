"""What PyTorch keeps for the whole process (random state, determinism, precision), borrowed and put back.

A training sets these to its own for every turn it takes, under one lock of the process, so that two trainings in two
threads both compute what each would compute alone. When the last one is done everything is as it was before the
first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch

from .settings import Precision

# Where PyTorch keeps, by library and operation, with how many bits it multiplies.
CUDA_PRECISIONS = ("cuda.matmul", "cudnn.conv", "cudnn.rnn")
CPU_PRECISIONS = ("mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")

# Read by cuBLAS when it is first used; without it deterministic algorithms are refused on CUDA.
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"

_turn = threading.RLock()
_borrowers = 0
_before: _Before | None = None
_current: Wanted | None = None


@dataclass(frozen=True)
class Wanted:
    """The global state that one training computes under."""

    device: torch.device
    deterministic: bool
    precision: Precision


@dataclass
class _Before:
    """The state found by the first borrower."""

    random: torch.Tensor
    cuda_random: dict[int, torch.Tensor]
    debug_mode: int
    fill: bool
    benchmark: bool
    onednn: bool
    precisions: dict[str, str]
    cublas: str | None


class Turn:
    """`with turn:` computes under the wanted state, with no other training in between."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._generators = [torch.default_generator]
        if wanted.device.type == "cuda":
            self._generators.append(torch.cuda.default_generators[_index(wanted.device)])

    def __enter__(self) -> Turn:
        global _current
        _turn.acquire()
        if _current is not self.wanted:
            _apply(self.wanted)
            _current = self.wanted
        return self

    def __exit__(self, *exception: object) -> None:
        _turn.release()

    def seed(self, seed: int) -> None:
        """Seed what layers draw from; only inside the turn."""
        # torch.manual_seed would ask every kind of device there is, which takes 60 times as long.
        for generator in self._generators:
            generator.manual_seed(seed)


@contextmanager
def borrow(wanted: Wanted, threads: int | None = None) -> Iterator[Turn]:
    """Turns for one training, which computes with `threads` threads (None: as many as this thread has now).

    The number of threads belongs to the calling thread, so it is no part of the turn.
    """
    global _borrowers, _before, _current
    own_threads = torch.get_num_threads()
    with _turn:
        if _borrowers == 0:
            _before = _find()
            _current = None
        assert _before is not None
        if wanted.device.type == "cuda":
            index = _index(wanted.device)
            _before.cuda_random.setdefault(index, torch.cuda.get_rng_state(index))
        _borrowers += 1
    try:
        if threads is not None and threads != own_threads:
            torch.set_num_threads(threads)
        # The caller may be anywhere: inside no_grad, inside an autocast of its own.
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(wanted.device.type, enabled=False):
            yield Turn(wanted)
    finally:
        if torch.get_num_threads() != own_threads:
            torch.set_num_threads(own_threads)
        with _turn:
            _borrowers -= 1
            if _borrowers == 0:
                _put_back(_before)
                _before = _current = None


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _library(path: str) -> Any:
    return attrgetter(path)(torch.backends)


def _fills() -> Any:
    return torch.utils.deterministic  # a module that is a property, which its stubs do not know


def onednn_computes(precision: Precision) -> bool:
    """Whether oneDNN has the precision on this CPU: bf16 and fp16 need AVX-512 and more.

    Where it has not, PyTorch's own kernels compute all else, but its LSTM under autocast asks oneDNN and fails
    (PyTorch 2.13, on a CPU with AVX2): there oneDNN is left out, and the LSTM computes in fp32.
    """
    operators = torch.ops.mkldnn
    known = {"bf16": operators._is_mkldnn_bf16_supported, "fp16": operators._is_mkldnn_fp16_supported}
    return precision not in known or bool(known[precision]())


def _find() -> _Before:
    return _Before(
        random=torch.get_rng_state(),
        cuda_random={},
        debug_mode=torch.get_deterministic_debug_mode(),
        fill=_fills().fill_uninitialized_memory,
        benchmark=torch.backends.cudnn.benchmark,
        onednn=_library("mkldnn").enabled,
        precisions={path: _library(path).fp32_precision for path in (*CUDA_PRECISIONS, *CPU_PRECISIONS)},
        cublas=os.environ.get(CUBLAS),
    )


def _apply(wanted: Wanted) -> None:
    torch.set_deterministic_debug_mode("error" if wanted.deterministic else "default")
    _fills().fill_uninitialized_memory = False  # finds bugs of kernels, at the price of a write per tensor
    torch.backends.cudnn.benchmark = not wanted.deterministic
    assert _before is not None
    _library("mkldnn").enabled = _before.onednn and onednn_computes(wanted.precision)
    on_cuda = wanted.device.type == "cuda"
    if on_cuda and wanted.deterministic:
        os.environ.setdefault(CUBLAS, ":4096:8")
    for path in CPU_PRECISIONS:
        _library(path).fp32_precision = "ieee"
    for path in CUDA_PRECISIONS:
        _library(path).fp32_precision = "ieee" if wanted.precision == "fp32" else "tf32"


def _put_back(before: _Before | None) -> None:
    assert before is not None
    torch.set_rng_state(before.random)
    for index, state in before.cuda_random.items():
        torch.cuda.set_rng_state(state, index)
    torch.set_deterministic_debug_mode(before.debug_mode)
    _fills().fill_uninitialized_memory = before.fill
    torch.backends.cudnn.benchmark = before.benchmark
    _library("mkldnn").enabled = before.onednn
    for path, precision in before.precisions.items():
        _library(path).fp32_precision = precision
    if before.cublas is None:
        os.environ.pop(CUBLAS, None)
