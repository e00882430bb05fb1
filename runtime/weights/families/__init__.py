"""What published files call the weights of families of models, one file each, by the `model_type` of their config."""

from __future__ import annotations

from importlib import import_module

from ..family import Family

FAMILIES = ("bert", "gpt2", "llama", "t5", "vit")


def find_family(model_type: str) -> Family | None:
    """The family of a published model; None for one that has no names ready."""
    if model_type not in FAMILIES:
        return None
    return import_module(f".{model_type}", __name__).FAMILY
