"""GRU: a recurrent network with two gates."""

from __future__ import annotations

from typing import ClassVar

from .recurrent import Recurrent


class GRU(Recurrent):
    """`GRU(hidden)` (Cho et al. 2014): [B, T, D] -> `as states, last, state`.

    The reset gate acts behind the matrix, as PyTorch and cuDNN have it. `state` is [layers * directions, B, hidden];
    all else is as `LSTM` has it.
    """

    word: ClassVar[str] = "GRU"
    example: ClassVar[str] = "GRU(8, bidirectional = true)"
    title: ClassVar[str] = "GRU (Cho et al. 2014)"
    gates: ClassVar[int] = 3
    kept_on_cpu: ClassVar[int] = 7
    onnx_gates: ClassVar[tuple[int, ...]] = (1, 0, 2)
    torch_function: ClassVar[str] = "gru"
