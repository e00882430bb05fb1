"""What the launchers of an emitted file would start on a GPU: recorded without one, and compiled for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from triton import knobs
from triton.tools.tensor_descriptor import TensorDescriptor
from triton_machine_code import TARGETS, MachineCode, compiled
from triton_operators import launching_on_cpu

from dlspec.compiler.backends.triton.activated_features import ActivatedFeatures
from dlspec.compiler.backends.triton.attention_features import AttentionFeatures
from dlspec.compiler.backends.triton.attention_given import given
from dlspec.compiler.backends.triton.gated_features import GatedFeatures
from dlspec.compiler.backends.triton.linear import LinearFeatures
from dlspec.compiler.backends.triton.norm_features import NormFeatures
from dlspec.compiler.backends.triton.numbering import numbered
from dlspec.compiler.backends.triton.rotary_features import RotaryFeatures
from dlspec.compiler.backends.triton.variant import Variant
from dlspec.runtime.program import load_text

_TYPES = {
    torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16",
    torch.int32: "i32", torch.int64: "i64", torch.bool: "i1",
}  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """A kernel as it would be compiled: types of what stays open, values of what does not, by parameter."""

    name: str
    types: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, Any], ...]
    multiples_of_16: tuple[str, ...]
    warps: int
    stages: int


class _Recorder:
    """In place of a kernel."""

    def __init__(self, kernel: Any, found: dict[Launch, None]) -> None:
        self.kernel, self.found = kernel, found

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        assert all(size > 0 for size in grid)
        assert all(size <= 65_535 for size in grid[1:]), "more programs than a launch has along such an axis"
        return self._start

    def _start(self, *args: Any, num_warps: int = 4, num_stages: int = 3, **named: Any) -> None:
        parameters = self.kernel.params
        values = dict(zip((p.name for p in parameters), args, strict=False)) | named
        assert values.keys() == {p.name for p in parameters}, self.kernel.__name__
        types: dict[str, str] = {}
        constants: dict[str, Any] = {}
        even: list[str] = []
        for parameter in parameters:
            value = values[parameter.name]
            kind = None if parameter.is_constexpr else _type_of(value)
            if kind is None:
                constants[parameter.name] = value
                continue
            types[parameter.name] = kind
            if isinstance(value, int) and value % 16 == 0:
                even.append(parameter.name)
        launch = Launch(
            self.kernel.__name__,
            tuple(types.items()),
            tuple(constants.items()),
            tuple(even),
            num_warps,
            num_stages,
        )
        self.found[launch] = None


def _type_of(value: Any) -> str | None:
    """Triton's type of what comes in when a kernel starts; None for what it takes for a constant then."""
    match value:
        case None | bool():
            return None
        case int() if value == 1:
            return None
        case int():
            return "i32" if -(2**31) <= value < 2**31 else "i64"
        case float():
            return "fp32"
        case Tensor():
            return f"*{_TYPES[value.dtype]}"
        case TensorDescriptor():
            return f"tensordesc<{_TYPES[value.base.dtype]}{list(value.block_shape)}>"
    raise AssertionError(value)


def loaded(text: str) -> ModuleType:
    """A file of kernels as it is on a GPU: for the compiler, and not for the interpreter."""
    with knobs.runtime.scope():
        knobs.runtime.interpret = False
        return load_text("kernels", text)


@contextmanager
def recording(kernels: ModuleType, generation: int) -> Iterator[dict[Launch, None]]:
    """Launchers run for a GPU of that generation; what they start is in what this gives."""
    found: dict[Launch, None] = {}
    before = dict(vars(kernels))
    for name, value in before.items():
        if type(value).__name__ == "JITFunction":
            setattr(kernels, name, _Recorder(value, found))
    vars(kernels).update(fused=lambda *given: True, generation=lambda x: generation)
    try:
        with launching_on_cpu(kernels):
            yield found
    finally:
        for name, value in before.items():
            setattr(kernels, name, value)


def start(kernels: ModuleType, variant: Variant, number: int, dtype: torch.dtype) -> None:
    """Forward and backward of a variant, at sizes that fill its tiles unevenly."""
    match variant:
        case AttentionFeatures():
            inputs = _attention(variant, dtype)
            call = getattr(kernels, numbered("attention", number))
        case NormFeatures():
            inputs = _norm(variant, dtype)
            name = ("add_" if variant.add else "") + ("layer_norm" if variant.layer else "rms_norm")
            call = getattr(kernels, numbered(name, number))
        case GatedFeatures():
            apart = [_leaf(3, 11, 16, dtype=dtype), _leaf(3, 11, 16, dtype=dtype)]
            inputs = apart if variant.width is None else [_leaf(48, 2 * variant.width, dtype=dtype)]
            call = getattr(kernels, numbered(variant.entry, number))
        case LinearFeatures():
            inputs = [_leaf(3, 111, 64, dtype=dtype)]
            call = kernels.Linear(64, 272, dtype=dtype)
        case ActivatedFeatures():
            inputs = [_leaf(3, 111, 64, dtype=dtype), nn.Linear(64, 272, dtype=dtype)]
            call = getattr(kernels, numbered(variant.entry, number))
        case RotaryFeatures():
            inputs = _rotary(variant, dtype)
            call = getattr(kernels, numbered("rotary", number))
        case _:
            raise AssertionError(variant)
    found = call(*inputs)
    outputs = [one for one in (found if isinstance(found, tuple) else (found,)) if one.requires_grad]
    leaves = [one for one in inputs if isinstance(one, Tensor) and one.requires_grad]
    torch.autograd.grad(outputs, leaves, [torch.empty_like(one) for one in outputs])


def _leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, requires_grad=True)


def _attention(features: AttentionFeatures, dtype: torch.dtype) -> list[Any]:
    B, T, heads, kv_heads = 2, 144, 2 * features.group, 2
    S = T if features.square else 208
    values = {
        "prefix": torch.zeros(B, dtype=torch.int64) if features.prefix == "each" else 30,
        "documents": torch.zeros(B, T, dtype=torch.int64),
        "bias": _leaf(*(B, heads, T, S)[features.bias == "one" :]),
        "mask": torch.zeros((B, T, S) if features.mask == "pairs" else (B, S), dtype=torch.bool),
        "slopes": torch.empty(heads),
        "weights": _leaf(len(features.score.by_head), heads) if features.score is not None else None,
        "window": 50,
        "softcap": 30.0,
        "scale": 0.3,
        "dropout": 0.1,
    }
    qk = [_leaf(B, n, h, features.width, dtype=dtype) for n, h in ((T, heads), (S, kv_heads))]
    qkv = [*qk, _leaf(B, S, kv_heads, features.value_width or features.width, dtype=dtype)]
    return [*qkv, *(values[one.name] for one in given(features))]


def _norm(features: NormFeatures, dtype: torch.dtype) -> list[Any]:
    x = [_leaf(37, features.width, dtype=dtype) for _ in range(1 + features.add)]
    learned = [_leaf(features.width) for _ in range(1 + features.bias)]
    return [*x, *learned, 1e-5, *([1.0] if features.offset else []), *([0.1] if features.dropout else [])]


def _rotary(features: RotaryFeatures, dtype: torch.dtype) -> list[Any]:
    qk = [_leaf(2, T, heads, features.width, dtype=dtype) for T, heads in ((144, 4), (208, 2))]
    return [*qk, torch.empty(208, features.width // 2), torch.empty(208, features.width // 2)]


def machine_code(kernels: ModuleType, launch: Launch, target: str) -> MachineCode:
    """What the compiler makes of a launch for a machine of that kind."""
    return compiled(
        vars(kernels)[launch.name], dict(launch.types), dict(launch.constants),
        launch.warps * TARGETS[target].warp_size, target, launch.multiples_of_16, launch.stages,
    )  # fmt: skip
