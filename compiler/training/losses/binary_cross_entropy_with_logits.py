"""binary_cross_entropy_with_logits: how far yes-or-no predictions are from what is true."""

from __future__ import annotations

from typing import ClassVar

from ..measure import Call, Loss, Operand, Value, check_alike, target_like


class BinaryCrossEntropyWithLogits(Loss):
    """`binary_cross_entropy_with_logits(logits, data.y)`: the mean of `-y log p - (1 - y) log (1 - p)`.

    `p` is the sigmoid of the logits; `y` lies from 0 to 1 and has the shape of the logits. Worked out so that large
    logits lose nothing.
    """

    word: ClassVar[str] = "binary_cross_entropy_with_logits"
    example: ClassVar[str] = "binary_cross_entropy_with_logits(output, data.y)"
    later: ClassVar[frozenset[str]] = frozenset({"weight", "reduce"})
    idle: ClassVar[dict[str, object]] = {"weight": None, "reduce": "mean"}
    takes: ClassVar[tuple[str, str]] = ("logits", "data.y")
    heads: ClassVar[dict[str, str]] = {
        "sigmoid": "takes logits: it has a sigmoid of its own",
        "softmax": "takes logits: it has a sigmoid of its own",
    }

    def check(self, said: Value, true: Value) -> None:
        check_alike(self.word, said, true)

    def code(self, said: Operand, true: Operand) -> Call:
        return Call("F.binary_cross_entropy_with_logits", (said.text, target_like(said, true)))
