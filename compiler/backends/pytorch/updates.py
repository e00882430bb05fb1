"""How weights are changed: the functions `freeze`, `parameter_groups`, `optimizer` and `update_average` of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...semantics.number import real
from ...training.factors import Factor
from ...training.modules import ModuleName
from ...training.optimizer import Optimizer
from ...training.optimizers.muon import Muon
from ...training.phases import Phase
from ...training.plan import TrainPlan
from ...training.spelling import is_plain, real_text
from .function import docstring
from .lending import attribute
from .parts import Parts

Lines = list[str]


def write_updates(plan: TrainPlan, parts: Parts) -> list[Lines]:
    """The functions, and the classes of optimizers that PyTorch has not, each as its lines."""
    functions = [_freeze(plan, parts)] if plan.freeze else []
    if plan.rates:
        functions.append(_rate_factors(plan.rates, parts))
    updated = {phase.name: _parameters(phase, parts) for phase in plan.phases}
    for phase, optimizer in plan.optimizers.items():
        learning = _Learning(phase, factors=bool(plan.rates))
        written = [updated[phase]] if phase else []
        if isinstance(optimizer, Muon):
            written += _muon(optimizer, parts, learning)
        else:
            written += [*_source(optimizer), _parameter_groups(optimizer, learning), _optimizer(optimizer, learning)]
        functions += [lines for lines in written if lines not in functions]
    if plan.ema is not None:
        functions.append(_update_average(real_text(plan.ema)))
    return functions


def imported_optimizers(plan: TrainPlan) -> list[str]:
    """The lines that import optimizers which PyTorch has not."""
    used = [part for one in plan.optimizers.values() for part in (one, *([one.apart] if isinstance(one, Muon) else []))]
    lines = (f"from {one.package} import {one.word}" for one in used if one.package not in ("torch.optim", ""))
    return list(dict.fromkeys(lines))


@dataclass(frozen=True)
class _Learning:
    """What learns: all of a model, or what a `phase` updates, whose name then begins those of its functions.

    `factors` says that parts of the model have rates of their own.
    """

    phase: str
    factors: bool

    def name(self, function: str) -> str:
        return f"{self.phase}_{function}" if self.phase else function

    def call(self, function: str) -> str:
        return f"{self.name(function)}(model)"

    @property
    def parameters(self) -> str:
        return self.call("parameters") if self.phase else "model.parameters()"


# --- parts of the model ------------------------------------------------------------------------------------------


def _freeze(plan: TrainPlan, parts: Parts) -> Lines:
    """What is frozen, then what inside it learns after all, the deeper names last: the longest match wins."""

    def stop(place: str, is_module: bool) -> Lines:
        return [f"{place}.requires_grad_(False){'.eval()' if is_module else ''}"]

    def go_on(place: str, is_module: bool) -> Lines:
        return [f"{place}.requires_grad_(True){'.train()' if is_module else ''}"]

    named = [(name, stop) for name in plan.freeze]
    named += [(factor.module, go_on) for factor in plan.rates if _lies_inside(factor.module, plan.freeze, parts)]
    named.sort(key=lambda each: each[0].depth)
    what = _listed(plan.freeze)
    keep, run = ("keeps its", "runs") if len(plan.freeze) == 1 else ("keep their", "run")
    doc = f"{what} {keep} weights and running statistics, and {run} as in evaluation"
    inside = [name for name, write in named if write is go_on]
    doc += f", all but {_listed(inside)}" if inside else ""
    doc += ". To be called after each `model.train()`."
    body = [line for name, write in named for line in parts.statements(name, write)]
    recurrent = [f"model{attribute(path.split('.'))}" for path in parts.recurrent if plan.freezes(path)]
    if recurrent:
        body += [
            "# The same as in evaluation, and cuDNN has a backward pass of it.",
            f"for rnn in [{', '.join(recurrent)}]:",
            "    rnn.train()",
            "    rnn.dropout = 0.0",
        ]
    return ["def freeze(model: nn.Module) -> None:", *docstring(doc, "    "), *_indented(body)]


def _lies_inside(module: ModuleName, frozen: Sequence[ModuleName], parts: Parts) -> bool:
    """Whether a part with a rate of its own lies in one that is frozen."""
    paths = [path for path in parts.paths if module.matches(path)]
    return any(name.depth < module.depth and any(map(name.matches, paths)) for name in frozen)


def _rate_factors(rates: Sequence[Factor], parts: Parts) -> Lines:
    ordered = sorted(rates, key=lambda factor: factor.module.depth)
    body = ["factors = dict.fromkeys(model.parameters(), 1.0)"]
    for factor in ordered:
        number = real_text(factor.factor)

        def write(place: str, is_module: bool, number: str = number) -> Lines:
            if not is_module:
                return [f"factors[{place}] = {number}"]
            return [f"factors.update(dict.fromkeys({place}.parameters(), {number}))"]

        body += parts.statements(factor.module, write)
    head = "def rate_factors(model: nn.Module) -> dict[nn.Parameter, float]:"
    doc = '    """What the rate of each parameter is multiplied by."""'
    return [head, doc, *_indented([*body, "return factors"])]


def _parameters(phase: Phase, parts: Parts) -> Lines:
    """The parameters that a phase updates, each once."""
    names = [one for one in phase.update if not any(_holds(other, one, parts) for other in phase.update)]
    head = f"def {phase.name}_parameters(model: nn.Module) -> list[nn.Parameter]:"
    doc = docstring(f"What the phase `{phase.name}` updates: {_listed(phase.update)}.", "    ")
    if len(names) == 1 and not names[0].quoted:
        (line,) = parts.statements(names[0], lambda place, is_module: [_all_of(place, is_module)])
        return [head, *doc, f"    return {line}"]

    def add(place: str, is_module: bool) -> Lines:
        return [f"parameters += {place}.parameters()" if is_module else f"parameters.append({place})"]

    lines = [line for name in names for line in parts.statements(name, add)]
    lines = ["parameters: list[nn.Parameter] = []", *lines, "return list(dict.fromkeys(parameters))"]
    return [head, *doc, *_indented(lines)]


def _all_of(place: str, is_module: bool) -> str:
    return f"list({place}.parameters())" if is_module else f"[{place}]"


def _holds(outer: ModuleName, inner: ModuleName, parts: Parts) -> bool:
    """Whether all that one name stands for lies in what another does, further out."""
    return outer.depth < inner.depth and all(outer.matches(path) for path in parts.paths if inner.matches(path))


def _listed(names: Sequence[ModuleName]) -> str:
    texts = [f"`{name.text}`" for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


# --- optimizers --------------------------------------------------------------------------------------------------


def _parameter_groups(optimizer: Optimizer, learning: _Learning, beside: str = "") -> Lines:
    """The groups of all parameters that learn, or of those that are not listed by what `beside` calls."""
    decay = real_text(optimizer.decay)
    before = [f"matrices = set({beside})"] if beside else []
    condition = "p.requires_grad and p not in matrices" if beside else "p.requires_grad"
    if learning.phase and learning.factors:
        condition += " and p in updated"
    if real(optimizer.decay) == 0:
        # PyTorch's AdamW decays unless it is told not to.
        decays = ', "weight_decay": 0.0' if optimizer.decays_unasked else ""
        doc, split = ", without weight decay", False
    else:
        decays, split = f', "weight_decay": {decay}', optimizer.decay_on == "matrices"
        doc = "; weight decay acts on matrices only" if split else ": weight decay acts on each of them"
    listed = f"p for p in {learning.parameters} if {condition}"
    if learning.factors:
        what = "What Muon is not for, a group for each rate" if beside else "A group for each rate"
        doc, body = f"{what}{doc}.", _factored(optimizer, condition, split=split, decays=decays)
        if learning.phase:
            body = [f"updated = set({learning.parameters})", *body]
    elif split:
        doc = f"What Muon is not for{doc}." if beside else _MATRICES_ONLY
        body = [
            f"parameters = [{listed}]",
            "return [",
            f'    {{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": {decay}}},',
            '    {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},',
            "]",
        ]
    else:
        doc = f"{'What Muon is not for' if beside else 'All parameters'} in one group{doc}."
        body = [f"parameters = [{listed}]", f'return [{{"params": parameters{decays}}}]']
    head = f"def {learning.name('parameter_groups')}(model: nn.Module) -> list[dict[str, Any]]:"
    return [head, *docstring(doc, "    "), *_indented([*before, *body])]


_MATRICES_ONLY = "Weight decay acts on matrices only: not on biases, gains and other vectors."


def _factored(optimizer: Optimizer, condition: str, *, split: bool, decays: str) -> Lines:
    rate = _peak(optimizer)
    if split:
        return [
            "groups: dict[tuple[float, float], list[nn.Parameter]] = {}",
            "for p, factor in rate_factors(model).items():",
            f"    if {condition}:",
            f"        decay = {real_text(optimizer.decay)} if p.ndim >= 2 else 0.0",
            "        groups.setdefault((factor, decay), []).append(p)",
            "return [",
            f'    {{"params": parameters, "lr": factor * {rate}, "weight_decay": decay}}',
            "    for (factor, decay), parameters in groups.items()",
            "]",
        ]
    return [
        "groups: dict[float, list[nn.Parameter]] = {}",
        "for p, factor in rate_factors(model).items():",
        f"    if {condition}:",
        "        groups.setdefault(factor, []).append(p)",
        "return [",
        f'    {{"params": parameters, "lr": factor * {rate}{decays}}}',
        "    for factor, parameters in groups.items()",
        "]",
    ]


def _peak(optimizer: Optimizer) -> str:
    text = real_text(optimizer.lr)
    return text if is_plain(text) else f"({text})"


def _source(optimizer: Optimizer) -> list[Lines]:
    return [optimizer.source.strip("\n").split("\n")] if optimizer.source else []


def _made(optimizer: Optimizer, groups: str) -> str:
    kind, options = optimizer.constructor()
    prefix = "torch.optim." if optimizer.package == "torch.optim" else ""
    return f"{prefix}{kind}({', '.join([groups, f'lr={real_text(optimizer.lr)}', *options])})"


def _optimizer(optimizer: Optimizer, learning: _Learning) -> Lines:
    head = f"def {learning.name('optimizer')}(model: nn.Module) -> torch.optim.Optimizer:"
    doc = docstring(optimizer.doc, "    ") if optimizer.doc else []
    return [head, *doc, f"    return {_made(optimizer, learning.call('parameter_groups'))}"]


def _muon(muon: Muon, parts: Parts, learning: _Learning) -> list[Lines]:
    """Muon for the matrices inside the model, and another optimizer for the rest, as one."""
    decay = real_text(muon.decay)
    if learning.factors:
        groups = [
            f"def {learning.name('matrix_groups')}(model: nn.Module) -> list[dict[str, Any]]:",
            '    """The matrices that Muon is for, a group for each rate."""',
            "    factors = rate_factors(model)",
            "    groups: dict[float, list[nn.Parameter]] = {1.0: []}  # no optimizer is made of no group",
            f"    for p in {learning.call('hidden_matrices')}:",
            "        groups.setdefault(factors[p], []).append(p)",
            "    return [",
            f'        {{"params": parameters, "lr": factor * {_peak(muon)}, "weight_decay": {decay}}}',
            "        for factor, parameters in groups.items()",
            "    ]",
        ]
    else:
        groups = [
            f"def {learning.name('matrix_groups')}(model: nn.Module) -> list[dict[str, Any]]:",
            f'    return [{{"params": {learning.call("hidden_matrices")}, "weight_decay": {decay}}}]',
        ]
    both = [
        f"def {learning.name('optimizer')}(model: nn.Module) -> torch.optim.Optimizer:",
        f"    muon = {_made(muon, learning.call('matrix_groups'))}",
        f"    others = {_made(muon.apart, learning.call('parameter_groups'))}",
        f"    return Both(muon, others, lr={real_text(muon.lr)})",
    ]
    rest = _parameter_groups(muon.apart, learning, beside=learning.call("hidden_matrices"))
    return [_hidden_matrices(parts, learning), groups, *_source(muon), *_source(muon.apart), rest, both]


def _hidden_matrices(parts: Parts, learning: _Learning) -> Lines:
    outer = [f"*model{attribute(path.split('.'))}.parameters()" for path in parts.outer]
    body = [f"return [p for p in {learning.parameters} if p.requires_grad and p.ndim == 2]"]
    if outer:
        body = [
            f"outer = {{{', '.join(outer)}}}",
            "return [",
            "    p",
            f"    for p in {learning.parameters}",
            "    if p.requires_grad and p.ndim == 2 and p not in outer",
            "]",
        ]
    doc = '"""What Muon is for: matrices inside the model, which are neither tables nor heads."""'
    head = f"def {learning.name('hidden_matrices')}(model: nn.Module) -> list[nn.Parameter]:"
    return [head, *_indented([doc, *body])]


# --- averages ----------------------------------------------------------------------------------------------------


def _update_average(stays: str) -> Lines:
    doc = (
        f"To be called after update `step`, counted from 0: `average`, a copy of the model that is validated and "
        f"exported, keeps {stays} of its weights, less after few updates so that it forgets where it began, and takes "
        "the rest, and all buffers, from the model."
    )
    return [
        "@torch.no_grad()",
        "def update_average(average: nn.Module, model: nn.Module, step: int) -> None:",
        *docstring(doc, "    "),
        f"    lerp = get_ema_multi_avg_fn(min({stays}, (1 + step) / (10 + step)))",
        "    lerp(list(average.parameters()), list(model.parameters()), 0)",
        "    for kept, buffer in zip(average.buffers(), model.buffers()):",
        "        kept.copy_(buffer)",
    ]


def _indented(lines: Lines) -> Lines:
    return [f"    {line}" for line in lines]
