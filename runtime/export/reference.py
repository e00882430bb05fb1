"""The trained model in fp64 and in fp32, on the CPU, in evaluation mode."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from ..metadata import Metadata
from ..session import Arrays
from .drawing import SingleDraws, drawing_alike


class Reference:
    """Copies of `model`, which stays as it is."""

    def __init__(self, model: nn.Module, metadata: Metadata) -> None:
        self._single = copy.deepcopy(model).cpu().float().eval()
        self._double = copy.deepcopy(self._single).double()
        self.metadata = metadata

    def exact(self, inputs: Arrays) -> Arrays:
        """The outputs in fp64. Raises RuntimeError or ValueError for shapes that the model does not take."""
        return self._run(self._double, inputs, torch.float64)

    def single(self, inputs: Arrays) -> Arrays:
        """The outputs in fp32."""
        return self._run(self._single, inputs, torch.float32)

    @torch.no_grad()
    def _run(self, model: nn.Module, inputs: Arrays, kind: torch.dtype) -> Arrays:
        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[port.name])) for port in self.metadata.inputs]
        with drawing_alike(), SingleDraws():
            results = model(*(tensor.to(kind) if tensor.is_floating_point() else tensor for tensor in tensors))
        outputs = results if isinstance(results, tuple) else (results,)
        names = [port.name for port in self.metadata.outputs]
        return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
