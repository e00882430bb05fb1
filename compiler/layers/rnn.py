"""RNN: the plain recurrent network."""

from __future__ import annotations

from typing import ClassVar

from .recurrent import Recurrent


class RNN(Recurrent):
    """`RNN(hidden)` (Elman 1990): [B, T, D] -> `as states, last, state`, each state tanh(W x + R h + b).

    `state` is [layers * directions, B, hidden]; all else is as `LSTM` has it.
    """

    word: ClassVar[str] = "RNN"
    example: ClassVar[str] = "RNN(8)"
    title: ClassVar[str] = "Recurrent network with tanh (Elman 1990)"
    gates: ClassVar[int] = 1
    kept_on_cpu: ClassVar[int] = 1
    onnx_gates: ClassVar[tuple[int, ...]] = (0,)
    torch_function: ClassVar[str] = "rnn_tanh"
