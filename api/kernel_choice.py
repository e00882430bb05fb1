"""`kernels = auto` settled for the device that a program will run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..grammar.source import Source
from .compilation import compile_to_run

if TYPE_CHECKING:
    from ..compiler.pipeline import Artefact

_KEY = "train.kernels"


@dataclass(frozen=True)
class Settled:
    """`overrides` give the artefact again wherever it is compiled. `reason`: why a GPU gets no kernels."""

    artefact: Artefact
    overrides: tuple[str, ...]
    reason: str = ""


def compile_for_device(
    source: Source,
    overrides: Sequence[str],
    recipe: str | None,
    *,
    device: str,
    allow_python: bool = False,
    tiles: Mapping[str, Any] = MappingProxyType({}),
) -> Settled:
    """The artefact of a recipe for `device` (auto, cpu or cuda), where `auto` takes kernels if they can run there.

    Raises what `compile_to_run` raises, and Refused where there is no such device.
    """
    plain = compile_to_run(source, overrides, recipe, allow_python=allow_python, tiles=tiles)
    given = tuple(overrides)
    if plain.kernels_word != "auto":
        return Settled(plain, given)
    from ..runtime.device import choose_device, without_kernels

    chosen = choose_device(device)
    if chosen.type != "cuda":
        return Settled(plain, given)
    settled = (*(one for one in given if one.partition("=")[0].strip() != _KEY), f"{_KEY}=triton")
    artefact = compile_to_run(source, settled, recipe, allow_python=allow_python, tiles=tiles)
    if not artefact.kernels:
        return Settled(plain, given)
    reason = without_kernels(chosen)
    return Settled(plain, given, reason) if reason else Settled(artefact, settled)
