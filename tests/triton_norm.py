"""LayerNorm and RMSNorm as their templates compute them and as PyTorch does, for the tests of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton.norm_configuration import MEANS, PARTS, BackwardTiles, ForwardTiles


@dataclass(frozen=True)
class Options:
    """What a norm may be asked for. `add`: x is added to a residual; `stream`: a gradient comes from there, too."""

    layer: bool = False
    weight: bool = True
    bias: bool = False
    offset: float | None = None
    add: bool = False
    stream: bool = False
    drop: float = 0.0
    eps: float = 1e-5

    def features(self) -> dict[str, bool]:
        return {
            "LAYER": self.layer,
            "WEIGHT": self.weight,
            "OFFSET": self.offset is not None,
            "BIAS": self.bias,
            "DROPOUT": self.drop > 0.0,
        }


@dataclass(frozen=True)
class Inputs:
    """All [rows, width] but for weight and bias [width]; `d_y` has the dtype of y."""

    x: Tensor
    residual: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    d_y: Tensor
    d_total: Tensor | None
    seed: Tensor | None

    def leaves(self) -> dict[str, Tensor]:
        named = {"x": self.x, "residual": self.residual, "weight": self.weight, "bias": self.bias}
        return {name: value for name, value in named.items() if value is not None}


def poisoned(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Not a number anywhere, nor in the row behind its end, which must stay so."""
    return torch.full((shape[0] + 1, *shape[1:]), float("nan"), dtype=dtype)[:-1]


def written(tensor: Tensor) -> bool:
    """Whether every entry was, and nothing behind them."""
    behind = tensor.as_strided(tensor.shape[1:], tensor.stride()[1:], tensor.numel())
    return bool(torch.isfinite(tensor).all() and torch.isnan(behind).all())


@interpreting()
def forward(options: Options, inputs: Inputs, tiles: ForwardTiles) -> dict[str, Tensor]:
    """y, total (where there is an addition), mean and rstd."""
    M, width = inputs.x.shape
    out = {"y": poisoned(M, width, dtype=inputs.d_y.dtype), "mean": poisoned(M), "rstd": poisoned(M)}
    if inputs.residual is not None:
        out["total"] = poisoned(M, width, dtype=inputs.residual.dtype)
    kernels = template("norm_forward")
    constants: dict[str, Any] = {"BLOCK": tiles.block, "WIDTH": width, "ADD": options.add, **options.features()}
    if not tiles.wide:
        constants["ROWS"] = tiles.rows
    kernel = kernels.norm_forward_wide if tiles.wide else kernels.norm_forward
    size = () if tiles.wide else (M,)
    kernel[(-(-M // tiles.rows),)](
        inputs.x, inputs.residual, inputs.weight, inputs.bias, out.get("total"), out["y"], out["mean"], out["rstd"],
        *size, options.eps, options.offset or 0.0, inputs.seed, options.drop, **constants, num_warps=tiles.warps,
    )  # fmt: skip
    if not options.layer:
        del out["mean"]
    assert all(map(written, out.values()))
    return out


@interpreting()
def sum_parts(parts: Tensor, out: Tensor) -> None:
    """out [width] becomes the sum of parts [groups, width]."""
    groups, width = parts.shape
    rows, columns = PARTS
    kernel = template("norm_backward").norm_sum_parts
    kernel[(-(-width // columns),)](parts, out, groups, WIDTH=width, ROWS=rows, BLOCK=columns)


@interpreting()
def backward(options: Options, inputs: Inputs, kept: dict[str, Tensor], tiles: BackwardTiles) -> dict[str, Tensor]:
    """The gradients of x, residual, weight and bias, as far as they are there."""
    M, width = inputs.x.shape
    normed = kept.get("total", inputs.x)
    branch = options.add and (options.drop > 0.0 or inputs.x.dtype != normed.dtype)
    per = -(-M // min(tiles.programs, M))
    groups = -(-M // per)
    d_normed = poisoned(M, width, dtype=normed.dtype)
    d_branch = poisoned(M, width, dtype=inputs.x.dtype) if branch else None
    parts = {name: poisoned(groups, width) for name in ("weight", "bias") if getattr(options, name)}
    level = alongs = None
    kernels = template("norm_backward")
    features = options.features()
    if tiles.wide:
        level, alongs = poisoned(M), poisoned(M)
        columns, warps = MEANS
        kernels.norm_backward_rows[(M,)](
            normed, inputs.d_y, inputs.weight, kept.get("mean"), kept["rstd"], level, alongs, options.offset or 0.0,
            BLOCK=min(columns, tiles.block), WIDTH=width, LAYER=options.layer, WEIGHT=options.weight,
            OFFSET=features["OFFSET"], num_warps=warps,
        )  # fmt: skip
        assert written(alongs)
        assert written(level) or not options.layer
    kernels.norm_backward[(groups, -(-width // tiles.block))](
        normed, inputs.d_y, inputs.d_total, inputs.weight, kept.get("mean"), kept["rstd"], level, alongs, d_normed,
        d_branch, parts.get("weight"), parts.get("bias"), M, per, options.offset or 0.0, inputs.seed, options.drop,
        ROWS=tiles.rows, BLOCK=tiles.block, STAGES=tiles.stages, AGAIN=tiles.again, WIDE=tiles.wide, WIDTH=width,
        STREAM=options.stream, BRANCH=branch, **features, num_warps=tiles.warps,
    )  # fmt: skip
    out = {"x": d_normed} if d_branch is None else {"x": d_branch}
    if options.add:
        out["residual"] = d_normed
    for name, each in parts.items():
        assert written(each)
        out[name] = poisoned(width, dtype=inputs.leaves()[name].dtype)
        sum_parts(each, out[name])
    assert all(map(written, out.values()))
    return out


def reference(options: Options, inputs: Inputs, dtype: torch.dtype, keep: Tensor | None = None) -> dict[str, Tensor]:
    """y, total and the gradients in `dtype`. `keep` [rows, width] is what dropout keeps."""
    leaves = {name: value.detach().to(dtype).requires_grad_() for name, value in inputs.leaves().items()}
    total = leaves["x"]
    if keep is not None:
        total = total * keep / (1.0 - options.drop)
    if options.add:
        total = leaves["residual"] + total
    weight = leaves.get("weight")
    gain = weight if weight is None or options.offset is None else weight + options.offset
    width = inputs.x.shape[-1:]
    if options.layer:
        y = F.layer_norm(total, width, gain, leaves.get("bias"), options.eps)
    else:
        y = F.rms_norm(total, width, gain, options.eps)
    ends, changes = [y], [inputs.d_y.to(dtype)]
    if inputs.d_total is not None:
        ends.append(total)
        changes.append(inputs.d_total.to(dtype))
    gradients = torch.autograd.grad(ends, list(leaves.values()), changes)
    found = {f"d_{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {"y": y.detach(), **found, **({"total": total.detach()} if options.add else {})}
