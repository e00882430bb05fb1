"""Pictures turned, scaled, sheared and moved."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...picture_steps import NOTHING


def warp(pictures: Tensor, *, turn: Tensor, scale: Tensor, shear: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Pictures [examples, channels, height, width] about their middle: sheared, turned (both in radians), scaled, then
    moved by pixels. Between pixels it is linear, what comes in is black; whole numbers are taken from the nearest
    pixel, and what comes in is of no class."""
    height, width = pictures.shape[2:]
    cos, sin, tan = torch.cos(turn), torch.sin(turn), torch.tan(shear)
    # (x, y) goes to scale * turn @ [[1, tan], [0, 1]] @ (x, y); each pixel asks where it came from: the inverse.
    inverse = torch.stack([cos + tan * sin, sin - tan * cos, -sin, cos], 1).reshape(-1, 2, 2) / scale[:, None, None]
    half = torch.tensor([width / 2, height / 2], dtype=inverse.dtype)
    from_units = inverse * half / half[:, None]  # grid_sample counts half a side as 1
    moved = torch.stack([right, down], 1) / half
    theta = torch.cat([from_units, -from_units @ moved[:, :, None]], 2)
    grid = F.affine_grid(theta, [*pictures.shape], align_corners=False).float()
    if pictures.is_floating_point():
        return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    nothing = 0 if pictures.dtype == torch.bool else NOTHING
    found = F.grid_sample((pictures.double() - nothing), grid.double(), mode="nearest", align_corners=False)
    return (found + nothing).round().to(pictures.dtype)
