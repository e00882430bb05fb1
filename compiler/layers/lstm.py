"""LSTM: a recurrent network with a memory that gates write, keep and read."""

from __future__ import annotations

from typing import ClassVar

from .recurrent import Recurrent


class LSTM(Recurrent):
    """`LSTM(hidden)` (Hochreiter and Schmidhuber 1997): [B, T, D] -> `as states, last, state`.

    `states` is [B, T, hidden], the output of each step; with `bidirectional` a second network reads backwards, and its
    hidden entries stand behind the first's. `last` is [B, hidden (x 2)], the output of the last step that each
    direction reads: the last of the sequence forwards, the first backwards. `state` is what `state =` of another LSTM
    goes on from: [2 * layers * directions, B, hidden], the outputs of all layers, then their memories.

    `layers` stand on each other, with `dropout` between them. `lengths` (int[B], each at least 1) is how many steps of
    each sequence are valid: the backward direction starts at the last of them, `last` and `state` are taken there, and
    `states` beyond are 0.
    """

    word: ClassVar[str] = "LSTM"
    example: ClassVar[str] = "LSTM(8, layers = 2)"
    title: ClassVar[str] = "LSTM (Hochreiter and Schmidhuber 1997)"
    gates: ClassVar[int] = 4
    kept_on_cpu: ClassVar[int] = 15
    inputs_kept_on_cpu: ClassVar[int] = 4
    parts: ClassVar[int] = 2
    onnx_gates: ClassVar[tuple[int, ...]] = (0, 3, 1, 2)
    torch_function: ClassVar[str] = "lstm"
