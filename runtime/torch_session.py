"""A trained model under torch, behind the same face as an exported one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import Refused
from .metadata import Metadata
from .session import Arrays, Session


class TorchSession(Session):
    """Runs `model` where its parameters are, in evaluation mode, which it is put back from after each run."""

    def __init__(self, metadata: Metadata, model: nn.Module) -> None:
        super().__init__(metadata)
        self._model = model

    @torch.no_grad()
    def run(self, feeds: Mapping[str, NDArray]) -> Arrays:
        place = next(iter(self._model.parameters()), torch.empty(0)).device
        training = self._model.training
        self._model.eval()
        try:
            inputs = [torch.from_numpy(np.asarray(feeds[port.name])).to(place) for port in self.metadata.inputs]
            results: Tensor | tuple[Tensor, ...] = self._model(*inputs)
        except ValueError as error:
            if str(error).startswith("Expected more than 1"):
                raise _nothing_to_compare() from error
            raise
        finally:
            self._model.train(training)
        outputs = results if isinstance(results, tuple) else (results,)
        arrays = [output.float() if output.is_floating_point() else output for output in outputs]
        names = [port.name for port in self.metadata.outputs]
        return {name: array.cpu().numpy() for name, array in zip(names, arrays, strict=True)}


def _nothing_to_compare() -> Refused:
    return Refused(
        "a norm takes the variance over the entries of each channel, and in what comes in a channel has one",
        "Give it longer or larger inputs.",
    )
