"""`dlspec diff`: what changed in meaning between two specs or runs."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api.record import FILE, Record, read_record
from ..grammar.diagnostics import SpecError
from ..runtime.errors import Refused
from .console import Console, counted
from .python_argument import add_python_argument
from .spec_analysis import analysed
from .units import count_text

if TYPE_CHECKING:
    from ..compiler.diff import Change, Difference, Fit, ModelPair
    from ..compiler.pipeline import Analysis

SECTIONS = {"constants": "constants", "ports": "ports", "model": "model", "train": "train", "export": "export"}
SHOWN = 24  # changes of a section; all of them are in the JSON


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a .dlspec file, or a run directory: the one before")
    parser.add_argument("b", metavar="B", help="the one after; --set changes this one")
    add_python_argument(parser)


def run(options: Namespace, console: Console) -> int:
    from ..compiler.diff import compare

    (before, one), (after, other) = (
        _read(name, given, allow_python=options.allow_python)
        for name, given in ((options.a, []), (options.b, options.set))
    )
    difference = compare(before, after, (one, other))
    if console.json:
        console.document(**_json(difference))
    else:
        console.print("\n".join(_text(difference)))
    return 0


def _read(name: str, overrides: list[str], *, allow_python: bool) -> tuple[Analysis, str | None]:
    """What is known of a spec, or of the one that a run was made from, and the recipe by which that was trained.
    Raises SpecError, Unreadable, Refused."""
    path = Path(name)
    if not path.is_dir() or not (path / FILE).exists():
        return analysed(name, overrides, allow_python=allow_python), None
    from ..compiler.pipeline import analyse

    record = _record(path)
    analysis = analyse(record.source, (*record.overrides, *overrides), allow_python=allow_python)
    if analysis.failed or analysis.spec is None:
        raise SpecError(analysis.diagnostics)
    return analysis, record.recipe


def _record(run: Path) -> Record:
    """The record of a run, if it is what was written. Loads no framework."""
    try:
        content = (run / FILE).read_bytes()
        digest = json.loads((run / "manifest.json").read_bytes())["texts"][FILE]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(f"{run} is no whole run: {error!r}", "Copy the run again from where it is whole.") from None
    if sha256(content).hexdigest() != digest:
        help = "Copy the run again from where it is whole, or compare the spec that it was made from."
        raise Refused(f"{run / FILE} is damaged or was edited: it is not what was written", help)
    return read_record({FILE: content.decode(errors="replace")})


# --- text ------------------------------------------------------------------------------------------------------------


def _text(difference: Difference) -> Iterator[str]:
    if difference.equal:
        yield "no difference in meaning"
        return
    for pair in difference.models:
        yield f"{pair.name}: {', '.join(_headline(pair, difference))}"
    for section, title in SECTIONS.items():
        changes = [change for change in difference.changes if change.section == section]
        told = [change for change in changes if not change.follows]
        owners = list(dict.fromkeys(change.owner for change in told))
        for owner in owners:
            yield ""
            yield f"{title} {owner}".rstrip()
            yield from _changes([change for change in told if change.owner == owner])
        if following := len(changes) - len(told):
            if not told:
                yield ""
                yield title
            yield f"  and {following:,} that follow{'s' if following == 1 else ''} from other changes"
    for pair in difference.models:
        yield from _checkpoint(pair.name, pair.fit)


def _headline(pair: ModelPair, difference: Difference) -> Iterator[str]:
    """The most telling changes, the parameters, the ports, and whether a checkpoint fits."""
    own = [c for c in difference.changes if c.owner == pair.name and c.section in ("ports", "model")]
    if not own:
        yield "the same model"
        return
    for kind in ("placement", "type", "copies", "function"):
        found = (c for c in own if c.kind == kind and c.section == "model")
        texts = [f"{c.place} {c.text}" if kind == "copies" else _alone(c) for c in found]
        yield from list(dict.fromkeys(texts))[:1]
    for kind in ("added", "removed", "renamed"):
        if places := sum(c.places for c in own if c.kind == kind):
            yield f"{counted(places, 'module')} {kind}"
    before, after = pair.parameters
    delta = after - before
    yield f"{'+' if delta > 0 else '-'}{_count(abs(delta))} parameters" if delta else "same parameters"
    yield "other ports" if any(c.section == "ports" for c in own) else "same ports"
    yield "a checkpoint of A loads" if pair.fit.loads else "a checkpoint of A does not load"


def _alone(change: Change) -> str:
    """What a change says without its place."""
    if change.before is None:
        return f"{change.after} added"
    return f"{change.before} removed" if change.after is None else change.text


def _count(count: int) -> str:
    return f"{count:,}" if count < 10_000 else count_text(count).rstrip()


def _changes(changes: list[Change]) -> Iterator[str]:
    width = min(44, max(len(_place(change)) for change in changes))
    for change in changes[:SHOWN]:
        yield f"  {_place(change):<{width}}  {change.text}".rstrip()
    if len(changes) > SHOWN:
        yield f"  and {len(changes) - SHOWN:,} more: --json has all of them"


def _place(change: Change) -> str:
    place = change.place or ("name" if change.kind == "name" else "")
    return f"{place} ({change.places} places)" if change.places > 1 else place


def _checkpoint(name: str, fit: Fit) -> Iterator[str]:
    if fit.loads:
        return
    yield ""
    yield f"checkpoint of A in B's {name}"
    shapes: dict[tuple[str, str], int] = {}
    for key, before, after in fit.reshaped:
        row = re.sub(r"(?<=\.)\d+(?=\.)", "*", key), f"{list(before)} -> {list(after)}"
        shapes[row] = shapes.get(row, 0) + 1
    for (place, text), places in list(shapes.items())[:SHOWN]:
        yield f"  {place}{f' ({places} places)' if places > 1 else ''}  {text}"
    if len(shapes) > SHOWN:
        yield f"  and {len(shapes) - SHOWN:,} more with other shapes"
    if fit.missing:
        yield f"  not in A: {_listed(fit.missing)}"
    if fit.unexpected:
        yield f"  not in B: {_listed(fit.unexpected)}"
    if fit.mapped:
        pairs = ", ".join(f'"{old}" -> "{new}"' for old, new in fit.mapped)
        yield f"  by shape and order: map = [{pairs}]"


def _listed(keys: tuple[str, ...]) -> str:
    shown = ", ".join(keys[:4])
    return f"{shown}, and {len(keys) - 4:,} more" if len(keys) > 4 else shown


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(difference: Difference) -> dict[str, Any]:
    return {
        "equal": difference.equal,
        "changes": [vars(change) for change in difference.changes],
        "models": [
            {
                "name": pair.name,
                "parameters": {"before": pair.parameters[0], "after": pair.parameters[1]},
                "flops_per_sample": {"before": pair.flops[0], "after": pair.flops[1]},
                "checkpoint": {
                    "loads": pair.fit.loads,
                    "missing": list(pair.fit.missing),
                    "unexpected": list(pair.fit.unexpected),
                    "reshaped": [
                        {"key": key, "before": list(before), "after": list(after)}
                        for key, before, after in pair.fit.reshaped
                    ],
                    "map": [list(pair) for pair in pair.fit.mapped],
                },
            }
            for pair in difference.models
        ],
    }
