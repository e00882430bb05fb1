"""mask_tokens: some tokens hidden, to be told from the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Augmentation, Batch, Fields
from ..chance import Draws
from ..dataset import IGNORED, Field
from ..faults import DataError

TOKENS, TARGETS = "tokens", "targets"


class MaskTokens(Augmentation):
    """Each token is asked for with the probability `part` (Devlin et al. 2019), where anything was asked before."""

    word = "mask_tokens"

    def __init__(
        self,
        fields: Fields,
        part: float = 0.15,
        token: int | None = None,
        random: float = 0.1,
        kept: float = 0.1,
    ) -> None:
        known = fields.get(TOKENS)
        if known is None or known.dtype != "int" or len(known.dims) != 1 or known.classes is None:
            listed = ", ".join(fields)
            raise DataError("`mask_tokens` hides tokens, and the data has no field tokens", f"it has {listed}")
        self._classes = known.classes
        self._token = known.classes - 1 if token is None else token
        if self._token >= known.classes:
            raise DataError(
                f"`mask_tokens` hides with the token {self._token:,}, and there are {known.classes:,}, counted from 0",
                "leave `token` out for the last one",
            )
        self._part, self._random, self._kept = part, random, kept
        self.fields = {**fields, TARGETS: Field("int", known.dims, known.classes)}

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        tokens = batch[TOKENS]
        assert isinstance(tokens, Tensor)
        length = tokens.shape[1]
        asked = draws.table("asked", length) < self._part
        before = batch.get(TARGETS)
        if isinstance(before, Tensor):
            asked &= before != IGNORED
        fate = draws.table("fate", length)
        others = (draws.table("other", length) * self._classes).long()
        hidden = torch.full_like(tokens, self._token)
        hidden = torch.where(fate < self._random + self._kept, others, hidden)
        hidden = torch.where(fate < self._kept, tokens, hidden)
        return {
            **batch,
            TOKENS: torch.where(asked, hidden, tokens),
            TARGETS: torch.where(asked, tokens, IGNORED),
        }
