"""mask_tokens: some tokens hidden, to be told from the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

from ...layers.options import Probability
from ...options import Kind
from ...semantics.evaluate import is_number
from ...semantics.number import is_whole, whole
from ..augmentation import Augmentation, Fields, Unfit
from ..values import PartAboveZero


def _token(value: object) -> Any:
    if value is not None and not (is_number(value) and is_whole(value) and whole(value) >= 0):
        raise ValueError("the number of a token, counted from 0, or none")
    return value


class MaskTokens(Augmentation):
    """`mask_tokens(15%)`: that `part` of the `tokens` is asked for in new `targets`, which are -100 elsewhere
    (Devlin et al. 2019).

    Of those asked for, the part `random` is a token drawn from the vocabulary (10% where it is left out), the part
    `kept` is left as it is (10%), and the rest is `token`: the last of the vocabulary where it is left out. Places of
    which nothing was asked before are not asked for. It acts in evaluation too, alike each time.
    """

    word: ClassVar[str] = "mask_tokens"
    example: ClassVar[str] = "mask_tokens(15%)"

    part: PartAboveZero = 0.15
    token: Annotated[Any, Kind(_token)] = None
    random: Probability = 0.1
    kept: Probability = 0.1

    def after(self, fields: Fields) -> Fields:
        tokens = fields.get("tokens")
        if tokens is None or tokens.dtype != "int":
            listed = ", ".join(f"`{name}`" for name in fields)
            message = "`mask_tokens` hides tokens, and the data has no field `tokens`"
            raise Unfit("unfit-augmentation", message, f"the fields are {listed}", "take it out")
        if self.token is not None and tokens.classes is not None and whole(self.token) >= whole(tokens.classes):
            message = f"there are {whole(tokens.classes)} tokens, counted from 0"
            raise Unfit("wrong-value", message, "no token of that number", "leave it out for the last one", "token")
        return {**fields, "targets": replace(tokens, partial=True)}

    @classmethod
    def roughly(cls, fields: Fields) -> Fields:
        known = super().roughly(fields)
        return {**known, "targets": replace(known["tokens"], partial=True)} if "tokens" in known else known
