"""Single kernels beside what else there is, measured as `dlspec bench` measures those of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from dlspec.compiler.pipeline import Artefact, analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.bench.kernels import Measured
from dlspec.runtime.bench.use import Entry, Use
from dlspec.runtime.program import load_text


class Emitted(NamedTuple):
    """A call of what a spec's file of kernels has, the file as a module, and what it was emitted with."""

    use: Use
    kernels: ModuleType
    artefact: Artefact


def use_of(
    text: str, name: str, values: Mapping[str, Any], made: Callable[[Any], Callable[..., Any]] = lambda entry: entry
) -> Emitted:
    """A call with these values of what a spec's file of kernels has under `name`. `made` makes what is called of it,
    where it is a class."""
    artefact = emit(analyse(Source("net.dlspec", text)), kernels="triton")
    (file,) = artefact.kernels
    kernels = load_text(file.removesuffix(".py"), artefact.kernels[file])
    variant = artefact.variants[name]
    entry = Entry(variant.kind, vars(variant))
    return Emitted(Use(name, entry, made(getattr(kernels, name)), values, (), None), kernels, artefact)


def figures(ways: Sequence[Measured], most: float = 1.0) -> dict[str, Any]:
    """Speeds of each way in parts of `most`, with the ratio of the first to each other; `both` is one pass after the
    other, since some do the work of backward forward."""
    passes = ("forward", "backward", "both")
    speeds = [{name: getattr(way, name).speed / most for name in passes if getattr(way, name)} for way in ways]
    first, found = speeds[0], dict[str, Any]()
    for way, own in zip(ways, speeds, strict=True):
        found[way.name] = {name: round(speed, 3) for name, speed in own.items()}
        if way.failed:
            found[way.name]["failed"] = way.failed
        if own is not first:
            ratios = {f"{name}_ratio": round(first[name] / own[name], 3) for name in own if name in first}
            found[way.name] |= ratios
    return found
