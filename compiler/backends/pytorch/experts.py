"""`experts` in emitted files: a class that is fixed for how it is used, and the loss that a recipe adds."""

from __future__ import annotations

from ...ir.graph import Experts, Graph
from ...ir.units import units_in
from ...layers.base import Code
from ...semantics.number import real, whole

_CITED = "Shazeer et al. 2017"
_BALANCED = "Fedus et al. 2022"


def construct_experts(module: Experts, made: str, code: Code) -> str:
    """The call that makes the module; `made` is the list of its experts."""
    options = [] if whole(module.top) == 1 else [f"top={code.number(module.top)}"]
    if _is_balanced(module, code):
        options.append(f"balance={code.real(module.balance)}")
    name = code.library("Experts", _source(module, code, draws=bool(module.units[0].modules)))
    return f"{name}({', '.join([code.number(module.router.inputs[0].dims[-1]), made, *options])})"


def _is_balanced(module: Experts, code: Code) -> bool:
    return real(module.balance) != 0 and not code.exporting


def _source(module: Experts, code: Code, *, draws: bool) -> str:
    one, balanced = whole(module.top) == 1, _is_balanced(module, code)
    parameters = ["dim: int", "experts: list[nn.Module]", *([] if one else ["top: int"])]
    make = [] if one else ["self.top = top"]
    if balanced:
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
        "    def forward(self, x: Tensor) -> Tensor:",
        *(f"        {line}" for line in _forward(one=one, balanced=balanced, exporting=code.exporting)),
        "",
        "    def init_weights(self, generator: torch.Generator | None) -> None:",
        *(f"        {line}" for line in fill),
        *(["", *(f"    {line}" for line in _getstate())] if balanced else []),
    ]
    return "\n".join(lines) + "\n"


def _forward(*, one: bool, balanced: bool, exporting: bool) -> list[str]:
    top = "1" if one else "self.top"
    return [
        "tokens = x.flatten(0, -2)  # [tokens, dim]",
        "chances = self.router(tokens).softmax(-1)  # [tokens, experts]",
        f"weights, chosen = chances.topk({top})  # [tokens, {'1' if one else 'top'}]",
        *([] if one else ["weights = weights / weights.sum(-1, keepdim=True)"]),
        "counts = F.one_hot(chosen.flatten(), len(self.experts)).sum(0)",
        *(_balance() if balanced else []),
        "# Sorted by expert, the tokens of each are one slice: the CPU asks a GPU for their lengths alone.",
        "order = chosen.flatten().argsort(stable=True)",
        *_through(one=one, exporting=exporting),
        "h = h[order.argsort()].unflatten(0, chosen.shape)  # [tokens, " + ("1" if one else "top") + ", E]",
        "return (weights.unsqueeze(-1) * h).sum(1).unflatten(0, x.shape[:-1])",
    ]


def _balance() -> list[str]:
    return [
        "self.balance_loss = None",
        "if self.training and self.router.weight.requires_grad:",
        f"    # {_BALANCED}: 1 where all experts are equally busy.",
        "    imbalance = (counts * chances.mean(0)).sum() / chosen.numel() * len(self.experts)",
        "    self.balance_loss = self.balance * imbalance",
    ]


def _getstate() -> list[str]:
    """A tensor that stands in a graph of autograd cannot be copied."""
    return [
        "def __getstate__(self) -> dict[str, object]:",
        '    """What a pass left behind is neither copied nor pickled."""',
        '    return {**self.__dict__, "balance_loss": None}',
    ]


def _through(*, one: bool, exporting: bool) -> list[str]:
    sent = "tokens[order]" if one else "tokens.repeat_interleave(self.top, 0)[order]"
    if not exporting:
        return [
            f"parts = {sent}.split(counts.tolist())",
            "h = torch.cat([expert(part) for expert, part in zip(self.experts, parts)])",
        ]
    return [
        "sizes: list[int] = counts.tolist()",
        f"parts = {sent}.split(sizes)",
        "results: list[Tensor] = []",
        "for i, expert in enumerate(self.experts):",
        "    results.append(expert(parts[i]))",
        "h = torch.cat(results)",
    ]


def are_balanced(graph: Graph) -> bool:
    """Whether some experts of a model have a loss that keeps them even."""
    return any(
        real(module.balance) != 0
        for unit in units_in(graph.model)
        for module in unit.modules
        if isinstance(module, Experts)
    )


def write_balance_loss() -> list[str]:
    """The function of a recipe."""
    return [
        "def balance_loss(model: nn.Module) -> Tensor | int:",
        '    """What keeps routers of experts even: it joins the loss of what the model ran on last, in training."""',
        '    losses = (getattr(module, "balance_loss", None) for module in model.modules())',
        "    return sum(loss for loss in losses if loss is not None)",
    ]
