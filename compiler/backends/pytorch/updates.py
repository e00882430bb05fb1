"""How weights are changed: the functions `freeze`, `parameter_groups`, `optimizer` and `update_average` of a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from ...semantics.number import real
from ...training.factors import Factor
from ...training.modules import ModuleName
from ...training.optimizer import Optimizer
from ...training.optimizers.muon import Muon
from ...training.plan import TrainPlan
from ...training.spelling import is_plain, real_text
from .function import docstring
from .lending import attribute
from .parts import Parts

Lines = list[str]


def write_updates(plan: TrainPlan, parts: Parts) -> list[Lines]:
    """The functions, and the classes of optimizers that PyTorch has not, each as its lines."""
    optimizer = plan.optimizer
    functions = [_freeze(plan, parts)] if plan.freeze else []
    if plan.rates:
        functions.append(_rate_factors(plan.rates, parts))
    if isinstance(optimizer, Muon):
        functions += _muon(optimizer, parts, factors=bool(plan.rates))
    else:
        functions += [*_source(optimizer), _parameter_groups(optimizer, factors=bool(plan.rates))]
        functions.append(_optimizer(optimizer))
    if plan.ema is not None:
        functions.append(_update_average(real_text(plan.ema)))
    return functions


def imported_optimizers(plan: TrainPlan) -> list[str]:
    """The lines that import optimizers which PyTorch has not."""
    used = [plan.optimizer, *([plan.optimizer.apart] if isinstance(plan.optimizer, Muon) else [])]
    return [f"from {one.package} import {one.word}" for one in used if one.package not in ("torch.optim", "")]


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
    doc = f"{what} {keep} weights and running statistics, and {run} as in evaluation: call it after `model.train()`."
    body = [line for name, write in named for line in parts.statements(name, write)]
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


def _listed(names: Sequence[ModuleName]) -> str:
    texts = [f"`{name.text}`" for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


# --- optimizers --------------------------------------------------------------------------------------------------


def _parameter_groups(optimizer: Optimizer, *, factors: bool, but: str = "") -> Lines:
    """The groups of all parameters that learn; `but` is the name of a list of parameters that are left out."""
    head = "def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:"
    decay, rest = real_text(optimizer.decay), f" but {_MATRICES_SAID}" if but else ""
    if but:
        before, condition = [f"matrices = set({but}(model))"], "p.requires_grad and p not in matrices"
    else:
        before, condition = [], "p.requires_grad"
    if real(optimizer.decay) == 0:
        # PyTorch's AdamW decays unless it is told not to.
        decays = ', "weight_decay": 0.0' if optimizer.decays_unasked else ""
        doc, split = "without weight decay", False
    else:
        decays, split = f', "weight_decay": {decay}', optimizer.decay_on == "matrices"
        doc = "weight decay acts on each of them"
    if factors:
        said = "weight decay acts on matrices only" if split else doc
        lines = [f'"""Parameters{rest} that learn at the same rate are a group; {said}."""', *before]
        return [head, *_indented(lines + _factored(optimizer, condition, split=split, decays=decays))]
    listed = f"p for p in model.parameters() if {condition}"
    if split:
        doc = "Weight decay acts on matrices only: not on biases, gains and other vectors."
        return [
            head,
            *docstring(doc.replace(".", f"; all{rest}.") if but else doc, "    "),
            *_indented(before),
            f"    parameters = [{listed}]",
            "    return [",
            f'        {{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": {decay}}},',
            '        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},',
            "    ]",
        ]
    doc = f", {doc}." if doc.startswith("without") else f": {doc}."
    lines = [f'"""All parameters{rest} in one group{doc}"""', *before, f"parameters = [{listed}]"]
    return [head, *_indented(lines), f'    return [{{"params": parameters{decays}}}]']


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


def _optimizer(optimizer: Optimizer) -> Lines:
    head = "def optimizer(model: nn.Module) -> torch.optim.Optimizer:"
    doc = docstring(optimizer.doc, "    ") if optimizer.doc else []
    return [head, *doc, f"    return {_made(optimizer, 'parameter_groups(model)')}"]


_MATRICES_SAID = "the matrices that Muon is for"


def _muon(muon: Muon, parts: Parts, *, factors: bool) -> list[Lines]:
    others = muon.apart
    tensors = [path for path in parts.outer if path in parts.tensors]
    modules = [path for path in parts.outer if path not in parts.tensors]
    outer = [f"*model{attribute(path.split('.'))}.parameters()" for path in modules]
    outer += [f"model{attribute(path.split('.'))}" for path in tensors]
    before = [f"outer = {{{', '.join(outer)}}}"] if outer else []
    condition = "p.requires_grad and p.ndim == 2" + (" and p not in outer" if outer else "")
    matrices = [
        "def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:",
        '    """What Muon is for: matrices inside the model, which are neither tables nor heads."""',
        *_indented([*before, f"return [p for p in model.parameters() if {condition}]"]),
    ]
    decay = real_text(muon.decay)
    if factors:
        groups = [
            "def matrix_groups(model: nn.Module) -> list[dict[str, Any]]:",
            '    """Matrices that learn at the same rate are a group."""',
            "    factors = rate_factors(model)",
            "    groups: dict[float, list[nn.Parameter]] = {}",
            "    for p in hidden_matrices(model):",
            "        groups.setdefault(factors[p], []).append(p)",
            "    return [",
            f'        {{"params": parameters, "lr": factor * {_peak(muon)}, "weight_decay": {decay}}}',
            "        for factor, parameters in groups.items()",
            "    ]",
        ]
    else:
        groups = [
            "def matrix_groups(model: nn.Module) -> list[dict[str, Any]]:",
            f'    return [{{"params": hidden_matrices(model), "weight_decay": {decay}}}]',
        ]
    both = [
        "def optimizer(model: nn.Module) -> torch.optim.Optimizer:",
        f"    muon = {_made(muon, 'matrix_groups(model)')}",
        f"    others = {_made(others, 'parameter_groups(model)')}",
        f"    return Both(muon, others, lr={real_text(muon.lr)})",
    ]
    rest = _parameter_groups(others, factors=factors, but="hidden_matrices")
    return [matrices, groups, *_source(muon), *_source(others), rest, both]


# --- averages ----------------------------------------------------------------------------------------------------


def _update_average(stays: str) -> Lines:
    doc = (
        f"To be called after each update: `average`, a copy of the model that is validated and exported, keeps {stays} "
        "of its weights and takes the rest, and all buffers, from the model."
    )
    return [
        "@torch.no_grad()",
        "def update_average(average: nn.Module, model: nn.Module) -> None:",
        *docstring(doc, "    "),
        f"    lerp = get_ema_multi_avg_fn({stays})",
        "    lerp(list(average.parameters()), list(model.parameters()), 0)",
        "    for kept, buffer in zip(average.buffers(), model.buffers()):",
        "        kept.copy_(buffer)",
    ]


def _indented(lines: Lines) -> Lines:
    return [f"    {line}" for line in lines]
