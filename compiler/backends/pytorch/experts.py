"""`experts` in emitted files: a class that is fixed for how it is used, and the loss that a recipe adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...ir.graph import Experts, Loop, Node, Unit, regions
from ...ir.units import inside
from ...layers.base import Code
from ...semantics.number import real, whole
from .lending import lent_to
from .views import Views

_CITED = "Shazeer et al. 2017"
_BALANCED = "Fedus et al. 2022"


FORGET_BALANCE = '''\
def forget_balance(model: nn.Module) -> None:
    """A pass begins: the balance losses of its experts add up from nothing."""
    for module in model.modules():
        if hasattr(module, "balance_loss"):
            module.balance_loss = None
'''


@dataclass(frozen=True)
class Balance:
    """The experts of a model that have a loss of their own.

    `runs` is how often they run in a pass; 2 stands for more, too. `nested` are those inside others, which may be sent
    no token at all. With `adds_up` the model calls `forget_balance` where a pass begins, and each run adds its loss:
    else the loss of a run takes the place of the last.
    """

    runs: Mapping[Experts, int]
    nested: frozenset[Experts]
    adds_up: bool


def construct_experts(module: Experts, made: str, code: Code, balance: Balance | None, *, draws: bool) -> str:
    """The call that makes the module; `made` is the list of its experts, and `draws` says whether they have initial
    weights. Without `balance` it has no loss: what is exported is not trained."""
    options = [] if whole(module.top) == 1 else [f"top={code.number(module.top)}"]
    lines = _balance(module, balance) if balance is not None and real(module.balance) != 0 else []
    if lines:
        options.append(f"balance={code.real(module.balance)}")
    name = code.library("Experts", _source(module, code, lines, draws=draws))
    return f"{name}({', '.join([code.number(module.router.inputs[0].dims[-1]), made, *options])})"


def _source(module: Experts, code: Code, balance: list[str], *, draws: bool) -> str:
    one = whole(module.top) == 1
    shares = bool(lent_to(module.units[0]))  # runs modules from around the experts
    given = ", *shared: nn.Module" if shares else ""
    parameters = ["dim: int", "experts: list[nn.Module]", *([] if one else ["top: int"])]
    make = [] if one else ["self.top = top"]
    if balance:
        parameters.append("balance: float")
        make += ["self.balance = balance", "self.balance_loss: Tensor | None = None"]
    make += ["self.router = nn.Linear(dim, len(experts), bias=False)", "self.experts = nn.ModuleList(experts)"]
    fill = module.router.layer.initialise("self.router", module.router.inputs[0], code)
    if draws:
        fill += ["for expert in self.experts:", "    expert.init_weights(generator)"]
    lines = [
        "class Experts(nn.Module):",
        f'    """Tokens through the best of several experts, by a router ({_CITED}): [.., dim] -> [.., E]"""',
        "",
        f"    def __init__(self, {', '.join(parameters)}) -> None:",
        "        super().__init__()",
        *(f"        {line}" for line in make),
        "",
        f"    def forward(self, x: Tensor{given}) -> Tensor:",
        *(f"        {line}" for line in _forward(one, balance, shares=shares, exporting=code.exporting)),
        "",
        "    def init_weights(self, generator: torch.Generator | None) -> None:",
        *(f"        {line}" for line in fill),
        *(["", *(f"    {line}" for line in _getstate())] if balance else []),
    ]
    return "\n".join(lines) + "\n"


def _forward(one: bool, balance: list[str], *, shares: bool, exporting: bool) -> list[str]:
    top = "1" if one else "self.top"
    return [
        "tokens = x.flatten(0, -2)  # [tokens, dim]",
        "chances = self.router(tokens).softmax(-1)  # [tokens, experts]",
        f"weights, chosen = chances.topk({top})  # [tokens, {'1' if one else 'top'}]",
        *([] if one else ["weights = weights / weights.sum(-1, keepdim=True)"]),
        "counts = F.one_hot(chosen.flatten(), len(self.experts)).sum(0)",
        *balance,
        "# Sorted by expert, the tokens of each are one slice: the CPU asks a GPU for their lengths alone.",
        "order = chosen.flatten().argsort(stable=True)",
        *_through(one, shares=shares, exporting=exporting),
        "h = h[order.argsort()].unflatten(0, chosen.shape)  # [tokens, " + ("1" if one else "top") + ", E]",
        "return (weights.unsqueeze(-1) * h).sum(1).unflatten(0, x.shape[:-1])",
    ]


def _balance(module: Experts, balance: Balance) -> list[str]:
    some = " and len(tokens) > 0" if module in balance.nested else ""
    learns = [
        f"if self.training and self.router.weight.requires_grad{some}:",
        f"    # {_BALANCED}: 1 where all experts are equally busy.",
        "    imbalance = (counts * chances.mean(0)).sum() / chosen.numel() * len(self.experts)",
    ]
    if not balance.adds_up:
        return ["self.balance_loss = None", *learns, "    self.balance_loss = self.balance * imbalance"]
    before = "0 if self.balance_loss is None else self.balance_loss"
    return [*learns, f"    before = {before}", "    self.balance_loss = before + self.balance * imbalance"]


def _getstate() -> list[str]:
    """A tensor that stands in a graph of autograd cannot be copied."""
    return [
        "def __getstate__(self) -> dict[str, object]:",
        '    """What a pass left behind is neither copied nor pickled."""',
        '    return {**self.__dict__, "balance_loss": None}',
    ]


def _through(one: bool, *, shares: bool, exporting: bool) -> list[str]:
    sent = "tokens[order]" if one else "tokens.repeat_interleave(self.top, 0)[order]"
    further = ", *shared" if shares else ""
    if not exporting:
        return [
            f"parts = {sent}.split(counts.tolist())",
            f"h = torch.cat([expert(part{further}) for expert, part in zip(self.experts, parts)])",
        ]
    return [
        "sizes: list[int] = counts.tolist()",
        f"parts = {sent}.split(sizes)",
        "results: list[Tensor] = []",
        "for i, expert in enumerate(self.experts):",
        f"    results.append(expert(parts[i]{further}))",
        "h = torch.cat(results)",
    ]


def balance_of(model: Unit, views: Views = MappingProxyType({})) -> Balance:
    """How the balance losses of a model's experts come together; `views` are its methods that run a part of it.

    They add up where experts run several times in a pass, and where some passes leave out others: those would still
    have the loss of an earlier pass.
    """
    runs: Counter[Experts] = Counter()
    nested: set[Experts] = set()

    def count(unit: Unit, nodes: tuple[Node, ...], times: int, *, sent: bool) -> None:
        for node in nodes:
            for region in regions(node.op):
                again = isinstance(node.op, Loop) and node.op.count.value != 1
                count(unit, region.nodes, times + again, sent=sent)
            module = unit.module(node.module) if node.module is not None else None
            if isinstance(module, Experts) and real(module.balance) != 0:
                runs[module] += times + (unit.borrowed(node.module) is not None)  # its owner runs it, too
                nested.update({module} if sent else ())
            for inner in dict.fromkeys(inside(module)):
                count(inner, inner.nodes, times, sent=sent or isinstance(module, Experts))

    count(model, model.nodes, 1, sent=False)
    return Balance(runs, frozenset(nested), any(times > 1 for times in runs.values()) or bool(runs and views))


def write_balance_loss() -> list[str]:
    """The function of a recipe."""
    return [
        "def balance_loss(model: nn.Module) -> Tensor | int:",
        '    """What keeps routers of experts even: it joins the loss of what the model ran on last, in training."""',
        '    losses = (getattr(module, "balance_loss", None) for module in model.modules())',
        "    return sum(loss for loss in losses if loss is not None)",
    ]
