"""hub: the weights of a published model."""

from __future__ import annotations

from typing import ClassVar

from ..renaming import Renaming
from ..start import Into, Skipped, Start
from ..values import Text


class Hub(Start):
    """`start = hub("gpt2")`: the weights of a model of the Hugging Face hub, by their names.

    They are taken from the cache of `huggingface_hub`, or loaded into it. `name` is the model's. `map`, `skip` and
    `into` are as in `weights`. Without a `map` there is one ready for GPT-2, BERT, T5, ViT and Llama, with the labels
    of the specs that come with dlspec.
    """

    word: ClassVar[str] = "hub"
    example: ClassVar[str] = 'hub("gpt2")'
    source: ClassVar[str] = "name"

    name: Text
    map: Renaming = ()
    skip: Skipped = ()
    into: Into = None
