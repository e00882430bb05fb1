"""Emitted files of kernels, loaded so that the interpreter runs them on a CPU, for the tests of all kinds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from triton import knobs
from triton_operators import launch_on_cpu

from dlspec.compiler.backends.triton.specialise import specialise
from dlspec.compiler.pipeline import Artefact, analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

TRACED = {"fullgraph": True, "backend": "aot_eager"}
"""For torch.compile: whole graphs, forward and backward, of operators with their fakes. The default backend would
compile C++ as well, which takes long, and fails below a path with a space."""


def compiled(text: str, kernels: str = "triton", name: str = "net") -> Artefact:
    analysis = analyse(Source(f"{name}.dlspec", text))
    return emit(analysis, kernels=kernels)


def loaded(artefact: Artefact) -> tuple[ModuleType, ModuleType]:
    """The model's module and that of its kernels, whose operators are the interpreter's on a CPU."""
    with knobs.runtime.scope():
        knobs.runtime.interpret = True
        module = load_text(artefact.name, artefact.model_code, artefact.imported)
    kernels = next(
        sys.modules[value.__module__]
        for value in vars(module).values()
        if f"{artefact.name}_kernels_" in (getattr(value, "__module__", None) or "")
    )
    launch_on_cpu(kernels)
    return module, kernels


class Poisoned:
    """While it lasts, memory is NaN before something is written, for launchers too: modes do not see what operators
    call."""

    def __enter__(self) -> None:
        self.before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True, warn_only=True)

    def __exit__(self, *_: object) -> None:
        torch.use_deterministic_algorithms(self.before)


def always(*given: object) -> bool:
    """In place of `fused`: kernels run whatever comes."""
    return True


def as_on_a_gpu(x: Tensor) -> bool:
    """In place of `fused`: its answer for a tensor on a GPU."""
    return x.dtype in (torch.float16, torch.bfloat16, torch.float32) and x.numel() > 0


def specialised_module(roots: Sequence[str], constants: Mapping[str, bool | int], kind: str) -> ModuleType:
    """What is made of templates and nothing else, for the compiler."""
    made = specialise(roots, constants, {}, 1, kind)
    text = "\n".join([*made.imports, "", "", made.text])
    with knobs.runtime.scope():
        knobs.runtime.interpret = False
        return load_text("specialised", text)


def hold_to_ruff(files: Mapping[str, str], folder: Path) -> None:
    """Emitted files are as ruff has them: nothing to find, nothing to lay out anew."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for arguments in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
