"""hub: the weights of a published model."""

from __future__ import annotations

from typing import ClassVar

from ..start import Renaming, Skipped, Start
from ..values import Text


class Hub(Start):
    """`start = hub("gpt2")`: the weights of a model of the Hugging Face hub, by their names.

    `name` is the model's; `map` names what is called otherwise there; `skip` are modules that keep the weights they
    are drawn with.
    """

    word: ClassVar[str] = "hub"
    example: ClassVar[str] = 'hub("gpt2")'
    runs: ClassVar[bool] = False

    name: Text
    map: Renaming = ()
    skip: Skipped = ()
