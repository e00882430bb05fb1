"""The keys of `train` that hold one call, word or list, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.evaluate import Scope
from ..semantics.nearest import nearest
from ..semantics.report import Report
from .base import Options
from .calls import Chosen, choose, read_call, resolved
from .init import Init
from .language import INITIALISATIONS, KERNELS, PRECISIONS, STARTS
from .lines import Lines
from .modules import ModuleName, check_modules, names_of_modules
from .ports import Ports
from .words import read_word

if TYPE_CHECKING:
    from .factors import Factor
    from .start import Start

Kind = TypeVar("Kind", bound=Options)

WORDS = {"precision": PRECISIONS, "kernels": KERNELS}


def read_key_word(key: str, usual: str, lines: Lines, scope: Scope, report: Report) -> str | None:
    """The word of `precision` or `kernels`, or None where it is none (reported)."""
    if key not in lines:
        return usual
    return read_word(lines[key].value, key, WORDS[key], scope, report)


def read_cadence(
    key: str, kind: type[Kind], example: str, lines: Lines, scope: Scope, report: Report
) -> Chosen[Kind] | None:
    """The call of a key that takes one only, such as `every(500)`; None without one, or for a wrong one (reported)."""
    if key not in lines:
        return None
    flow, scope = resolved(lines[key].value, scope)
    word = kind.word
    match flow:
        case tree.Stage(path=tree.Path(parts=(name,)), args=args, body=None) if name == word and args is not None:
            return read_call(kind, flow, scope, report)
    fix = _meant(flow, word, alone=key in ("validate", "early_stop"))
    report.error(
        "wrong-value",
        f"`{key}` takes a call such as `{example}`",
        flow.span,
        f"not `{word}(..)`",
        help=f"write `{example if fix is None else fix.text}`",
        fixes=() if fix is None else (fix,),
    )
    return None


def _meant(flow: tree.Flow, word: str, *, alone: bool) -> Fix | None:
    """The edit that makes the call of what was probably meant; `alone` says that a number is all of its options."""
    match flow:
        case tree.Number(value=value) if value < 1:
            return None
        case tree.Number() | tree.Percent() | tree.Binary() if alone:
            return Fix(flow.span, f"{word}({flow.span.text})")
        case tree.Stage(path=tree.Path(parts=(name,)) as path, args=args, body=None):
            meant = nearest(name, ["none"] if args is None else [word])
            return None if meant is None else Fix(path.span, meant)
    return None


def read_init(lines: Lines, scope: Scope, report: Report) -> Chosen[Init] | None:
    if "init" not in lines:
        return None
    chosen = choose(lines["init"].value, "init", "inits", Init, INITIALISATIONS, scope, report)
    return None if chosen is None else read_call(*chosen, report)


def read_start(lines: Lines, ports: Ports, scope: Scope, report: Report) -> Start | None:
    """Where the weights come from; the modules that it names are held against the model."""
    if "start" not in lines:
        return None
    from .start import Start  # most recipes draw their weights

    flow = lines["start"].value
    if isinstance(flow, tree.String):
        text = f"weights({flow.span.text})"
        message = "`start` says where the weights come from"
        fixes = (Fix(flow.span, text),)
        report.error("wrong-value", message, flow.span, "a file of what?", help=f"write `{text}`", fixes=fixes)
        return None
    chosen = choose(flow, "start", "starts", Start, STARTS, scope, report)
    read = None if chosen is None else read_call(*chosen, report)
    if read is None:
        return None
    return read.options if read.options.fits(ports, report) else None


def read_freeze(lines: Lines, ports: Ports, report: Report) -> tuple[ModuleName, ...]:
    """The modules that do not learn, of those that are the model's; none where the list is wrong (reported)."""
    if "freeze" not in lines:
        return ()
    names = names_of_modules(lines["freeze"].value, "freeze", report)
    return names if check_modules(names, "freeze", ports, report) else ()


def read_rates(lines: Lines, ports: Ports, scope: Scope, report: Report) -> tuple[Factor, ...]:
    """The factors on the rate, of modules that are the model's; none where the list is wrong (reported)."""
    if "rates" not in lines:
        return ()
    from .factors import read_factors  # most recipes have one rate

    factors = read_factors(lines["rates"].value, scope, report)
    return factors if check_modules([f.module for f in factors], "rates", ports, report) else ()
