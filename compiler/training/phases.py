"""The phases of a recipe: each updates a part of the model by a loss of its own, on the same batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...grammar import tree
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..layers.options import Whole
from ..options import BadOptions, OptionSet
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.number import whole
from ..semantics.report import Report
from .calls import Chosen, choose, read_call
from .language import OPTIMIZERS
from .lines import Lines, Section, read_phase_lines, such_as
from .modules import ModuleName, check_modules, frozen_path, names_of_modules
from .names import Names
from .objective import Objective, one_ignored, read_loss, terms
from .optimizer import Optimizer

if TYPE_CHECKING:
    from .factors import Factor

_EXAMPLES = {"loss": "loss = mse(score, 1)", "optimizer": "optimizer = Adam(lr = 2e-4)"}


class Phase(Frozen):
    """`update` are the modules that learn; `optimizer` is None where the phase has that of the recipe."""

    name: str
    update: tuple[ModuleName, ...]
    loss: Objective
    optimizer: Chosen[Optimizer] | None
    times: int


class _Settings(OptionSet):
    times: Whole = 1


def read_phases(section: Section, names: Names, report: Report) -> tuple[Phase, ...] | None:
    """The phases of a recipe in order, or None where one has an error (reported)."""
    phases, lines = section.phases, section.lines
    has_optimizer = "optimizer" in {*lines, *section.meant}
    first: dict[str, Span] = {}
    read: list[Phase | None] = []
    for phase in phases:
        before = first.setdefault(phase.name.text, phase.name.span)
        if before is not phase.name.span:
            message, labels = f"two phases are called `{phase.name}`", ((before, "given here first"),)
            report.error("repeated-name", message, phase.name.span, "given again here", labels=labels)
        others = [other for other in phases if other is not phase]
        _check_method(phase.name, names, report)
        read.append(_phase(phase, others, has_optimizer, names, report))
    if phases and "loss" in lines:
        message = "with phases each of them has a loss, and this one belongs to none"
        labels = ((phases[0].name.span, "a phase"),)
        report.error("conflict", message, lines["loss"].span, "one too many", help="take it out", labels=labels)
    found = tuple(phase for phase in read if phase is not None)
    if len(found) < len(read):
        return None
    if not one_ignored([term for phase in found for term in terms(phase.loss)], names):
        return None
    if found and "optimizer" in lines and all(phase.optimizer is not None for phase in found):
        message = "every phase has an optimizer of its own: this one is never used"
        report.error("conflict", message, lines["optimizer"].span, "never used", help="take it out")
    return found


def check_updated(
    phases: Sequence[Phase],
    freeze: Sequence[ModuleName],
    rates: Sequence[Factor],
    weights: Mapping[str, str],
    report: Report,
) -> None:
    """Warns of weights that no phase updates, and that are not frozen. `weights` has the key of each, and the key under
    which it is made: a shared weight has several."""
    names = [name for phase in phases for name in phase.update]
    updated = {made for key, made in weights.items() if any(name.matches(key) for name in names)}
    left = {made for made in weights.values() if made not in updated and not frozen_path(made, freeze, rates)}
    if not left:
        return
    learned = [key for key, made in weights.items() if made not in left]
    paths = list(dict.fromkeys(_outermost(key, learned) for key, made in weights.items() if made in left))
    listed = ", ".join(f"`{path}`" for path in paths[:4]) + (" and more" if len(paths) > 4 else "")
    modules = ", ".join(path for path in paths[:4] if "." not in path or path not in weights)
    report.error(
        "never-updated",
        f"no phase updates {listed}: {'it stays' if len(paths) == 1 else 'they stay'} as at the beginning",
        names[0].span.to(names[-1].span) if len(phases) == 1 else phases[-1].update[0].span,
        "not here" if len(phases) == 1 else "neither here, nor in the phases before",
        help="add what learns to an `update`" + (f", or write `freeze = [{modules}]`" if modules else ""),
        severity="warning",
    )


def _outermost(key: str, learned: Sequence[str]) -> str:
    """The path of the largest module that holds a weight, and none of those that learn."""
    levels = key.split(".")
    paths = (".".join(levels[:depth]) for depth in range(1, len(levels)))
    return next((path for path in paths if not any(f"{other}.".startswith(f"{path}.") for other in learned)), key)


def _check_method(phase: tree.Name, names: Names, report: Report) -> None:
    """A phase may have a method of the model to itself, which no module can be called like."""
    method = f"forward_{phase}"
    if method in (names.ports.modules or names.ports.made):
        message = f"the emitted model may have a method `{method}` for this phase, and a module is called so"
        help = f"give the phase another name, or the module another label than `{method}`"
        report.error("taken-name", message, phase.span, "cannot be a name here", help=help)


def _phase(
    phase: tree.Phase, others: Sequence[tree.Phase], has_optimizer: bool, names: Names, report: Report
) -> Phase | None:
    lines, meant = read_phase_lines(phase, report)
    needed = [key for key in ("update", "loss") if key not in {*lines, *meant}]
    if not has_optimizer and "optimizer" not in {*lines, *meant}:
        needed.append("optimizer")
    if needed:
        listed = " and ".join(f"`{key}`" for key in needed)
        help = _what_to_write(needed, phase, others, names)
        label = "not given here" if len(needed) == 1 else "these are not given here"
        report.error("missing-key", f"the phase `{phase.name}` needs {listed}", phase.name.span, label, help=help)
    own = Report()
    update = names_of_modules(lines["update"].value, "update", own) if "update" in lines else ()
    fits = check_modules(update, "update", names.ports, own) and not own.failed
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    loss = read_loss(lines["loss"].value, names) if "loss" in lines else None
    optimizer = None
    if "optimizer" in lines:
        optimizer = read_optimizer(lines["optimizer"].value, names.scope, report)
        fits &= optimizer is not None
    times = _times(lines, names.scope, report)
    if needed or meant or not fits or loss is None or times is None:
        return None
    return Phase(phase.name.text, update, loss, optimizer, times)


def _what_to_write(needed: Sequence[str], phase: tree.Phase, others: Sequence[tree.Phase], names: Names) -> str:
    """The lines that a phase lacks: to be written as they are where nothing in them is a guess, else as examples."""
    learns, modules = None, sorted({path.split(".")[0] for path in names.ports.modules or ()})
    if "update" in needed:
        learns = _module_meant(phase.name.text, modules, others)
    update = f"update = [{learns or (modules[0] if modules else 'critic')}]"
    help = such_as(_EXAMPLES.get(key, update) for key in needed)
    if "loss" not in needed and (learns or "update" not in needed):
        return help.replace("such as", "write", 1)
    if "update" in needed and len(modules) > 1:
        help += f"\nthe modules of `{names.ports.model}` are {', '.join(f'`{name}`' for name in modules[:12])}"
    return help


def _module_meant(phase: str, modules: Sequence[str], others: Sequence[tree.Phase]) -> str | None:
    """The one module that a phase is called after (`critic`, `critic_step`), or that no other phase updates."""
    updated = {
        word
        for other in others
        for line in other.body.lines
        if isinstance(line, tree.Binding) and line.name.text == "update"
        for word in re.findall(r"(?<![\w.])\w+", line.value.span.text)
    }
    named = [name for name in modules if re.search(rf"(^|_){name}(_|$)", phase)]
    left = [name for name in modules if name not in updated]
    return next((found[0] for found in (named, left) if len(found) == 1), None)


def read_optimizer(flow: tree.Flow, scope: Scope, report: Report) -> Chosen[Optimizer] | None:
    """The optimizer that is written, or None (reported)."""
    chosen = choose(flow, "optimizer", "optimizers", Optimizer, OPTIMIZERS, scope, report)
    return None if chosen is None else read_call(*chosen, report)


def _times(lines: Lines, scope: Scope, report: Report) -> int | None:
    if "times" not in lines:
        return 1
    flow = lines["times"].value
    value = evaluate(flow, scope, report)
    if value is FAULT:
        return None
    try:
        return whole(_Settings(times=value).times)
    except BadOptions as fault:
        report.error("wrong-value", f"`times` takes {fault.problems[0].takes}", flow.span, "not such a number")
        return None
