"""Specialised attention kernels are their templates with the constants set: the same bits, the same machine code."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import triton
import triton_attention
from torch import Tensor
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton_attention import Options, Tiles
from triton_attention_cases import (
    CAUSAL,
    COVER,
    FORWARD,
    SOME,
    Case,
    constants,
    file_text,
    inputs,
    kernels,
    roots,
    shown,
)
from triton_templates import interpreting, template


def loaded(text: str, folder: Path, *, interpreted: bool) -> ModuleType:
    path = folder / "attention_kernels.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"kernels_{hash(text)}_{interpreted}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with knobs.runtime.scope():
        knobs.runtime.interpret = interpreted
        spec.loader.exec_module(module)
    return module


# --- The same bits ---


class StandIn:
    """A specialised kernel that is called as its template is: it leaves out what it no longer takes."""

    def __init__(self, kernel: Any, original: Any, parameters: Sequence[str]) -> None:
        self.kernel = kernel
        self.original = original
        self.parameters = parameters

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: Any, **named: Any) -> None:
            given = dict(zip(self.original.arg_names, arguments, strict=False)) | named
            self.kernel[grid](**{name: given[name] for name in self.parameters})

        return launch


def computed(tensors: Sequence[Tensor], options: Options, tiles: Tiles) -> list[Tensor]:
    q, k, v, d_out = tensors
    out, lse = triton_attention.forward(q, k, v, options, tiles)
    return [out, lse, *triton_attention.backward(q, k, v, out, lse, d_out, options, tiles)]


def hold_bits(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = inputs(case)
    result = kernels(case)
    module = loaded(file_text(result), folder, interpreted=True)

    def specialised(name: str) -> Any:
        originals = template(name)
        return type(
            "Kernels",
            (),
            {
                root: StandIn(getattr(module, root), getattr(originals, root), parameters)
                for root, parameters in result.parameters.items()
                if hasattr(originals, root)
            },
        )

    with interpreting():
        want = computed(*arguments)
        monkeypatch.setattr(triton_attention, "template", specialised)
        found = computed(*arguments)
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        assert not torch.isnan(a).any()
        assert torch.equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("case", SOME, ids=shown)
def test_the_same_bits_as_the_template(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_bits(case, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("case", COVER[3:], ids=shown)
def test_the_same_bits_over_a_pairwise_cover(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_bits(case, tmp_path, monkeypatch)


# --- The same machine code ---

POINTERS = {
    **dict.fromkeys(("q", "k", "v", "d_out", "out", "d_q_out", "d_k_out", "d_v_out", "bias", "d_bias"), "*bf16"),
    **dict.fromkeys(("lse", "delta", "slopes", "weights", "d_weights"), "*fp32"),
    **dict.fromkeys(("prefixes", "documents", "spans"), "*i32"),
    "mask": "*i1",
    "seeds": "*i64",
}
FLOATS = {"scale", "cap", "drop"}


def machine_code(kernel: Any, parameters: Sequence[str], constants: Mapping[str, Any]) -> bytes:
    """For sm_90. What is not among `parameters` is set, to nothing where it is no constant."""
    given = {"BLOCK_M": 32, "BLOCK_N": 16, "STAGES": 2, "LANES": 1, "BLOCK": 64, "STEP": 64, **constants}
    signature, fixed, attributes = {}, {}, {}
    for i, parameter in enumerate(kernel.params):
        name = parameter.name
        if parameter.is_constexpr or name not in parameters:
            signature[name] = "constexpr"
            fixed[name] = given.get(name, 0 if name not in POINTERS else None)
        elif name in ("q", "k", "v", "d_out") and constants.get("DESCRIBED"):
            rows = given["BLOCK_M" if name in ("q", "d_out") else "BLOCK_N"]
            width = constants["WIDTH" if name in ("q", "k") else "VALUE_WIDTH"]
            signature[name] = f"tensordesc<bf16[{rows}, {width}]>"
        else:
            signature[name] = POINTERS.get(name, "fp32" if name in FLOATS else "i32")
            if name in POINTERS or name.endswith("_row"):
                attributes[i,] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=attributes)
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2})
    return compiled.asm["cubin"]


def hold_machine_code(case: Case, folder: Path, roots: Sequence[str]) -> None:
    result = kernels(case)
    module = loaded(file_text(result), folder, interpreted=False)
    for root in roots:
        name, function = root.split(".")
        parameters = result.parameters[function]
        original = getattr(template(name, interpreted=False), function)
        taken = {name: value for name, value in constants(case).items() if name in original.arg_names}
        want = machine_code(original, parameters, taken)
        assert machine_code(getattr(module, function), parameters, taken) == want, function


@pytest.mark.parametrize("case", SOME[:2], ids=shown)
def test_the_same_machine_code_as_the_template(case: Case, tmp_path: Path) -> None:
    hold_machine_code(case, tmp_path, [FORWARD, roots(case)[-1]])


@pytest.mark.slow
@pytest.mark.parametrize("case", [CAUSAL, *COVER], ids=shown)
def test_the_same_machine_code_over_a_pairwise_cover(case: Case, tmp_path: Path) -> None:
    hold_machine_code(case, tmp_path, roots(case))
