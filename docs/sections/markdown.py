"""How an entry of the reference is laid out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType

from dlspec.editor.documentation import Option, Page

from .samples import Sample

LATER = "*Checked; not in this version.*"


def entry(word: str, *paragraphs: str, level: int = 3) -> str:
    """A heading with what stands below it; what is empty is left out."""
    return "\n\n".join([f"{'#' * level} {word}", *filter(None, paragraphs)])


def option_table(page: Page, later: Container[str] = (), spread: Mapping[str, str] = MappingProxyType({})) -> str:
    """The options in the order in which they may stand without their names; empty where there are none.

    `spread` has how those are written that are not written by their name.
    """
    rows = [
        (f"`{spread.get(option.name) or _written(option)}`", _takes(option, option.name in later))
        for option in page.options
    ]
    return table(("option", "takes"), rows) if rows else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def gives(example: str, found: Sample) -> str:
    """What an example makes of what comes in."""
    inputs = dict(found.inputs)
    running = inputs.pop("x", None)
    on = "" if running is None else f" on `{running}`"
    sides = " and ".join(f"`{name}: {type_}`" for name, type_ in inputs.items())
    outputs = ", ".join(f"`{type_}`" for type_ in found.outputs)
    return f"`{example}`{on}{' with ' if sides else ''}{sides} gives {outputs}."


def _written(option: Option) -> str:
    return option.name if option.default is None else f"{option.name} = {option.default}"


def _takes(option: Option, later: bool) -> str:
    takes = option.takes or "as said above"
    if option.default == "none" and not takes.endswith(", or none"):
        takes = takes.removesuffix(" or none")  # the default says so
    return f"{takes}; not in this version" if later else takes
