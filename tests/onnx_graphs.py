"""Graphs built by hand, which also show what the IR holds: an MLP and a GPT, as specs/ has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlspec.compiler.ir.graph import (
    Apply,
    Copies,
    Graph,
    LayerModule,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    Tie,
    Unit,
    UnitModule,
    Value,
)
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import Layer
from dlspec.compiler.semantics.number import Literal, Number, Operation, Reference, number
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar.source import Source

SPAN = Source("by_hand.dlspec", "").span(0, 0)


def layer(word: str, **options: Any) -> Layer:
    found = registry.find(word)
    assert found is not None
    return found(**options)


class Page:
    """The nodes and modules of a unit as they come down the page."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.modules: list[LayerModule | UnitModule | Copies] = []

    def apply(self, layer: Layer, x: Value, label: str | None = None, tie: Tie | None = None) -> Value:
        assert isinstance(x.type, Tensor)
        y = Value(layer.infer(x.type)[0])
        if label is not None:
            self.modules.append(LayerModule(label, layer, (x.type,), SPAN, tie))
        self.nodes.append(Node(Apply(layer), (x,), (y,), SPAN, label))
        return y

    def add(self, a: Value, b: Value) -> Value:
        y = Value(a.type)
        self.nodes.append(Node(Pointwise("+"), (a, b), (y,), SPAN))
        return y

    def run(self, module: UnitModule, x: Value) -> Value:
        self.modules.append(module)
        y = Value(module.unit.outputs[0].type)
        self.nodes.append(Node(Run(), (x,), (y,), SPAN, module.name))
        return y

    def unit(self, kind: Any, name: str, x: Value, y: Value) -> Unit:
        return Unit(kind, name, (x,), (y,), tuple(self.nodes), tuple(self.modules), SPAN)


def mlp() -> Graph:
    """specs/digits.dlspec"""
    hidden, classes = _constant("hidden", 64), _constant("classes", 10)
    image = Value(Tensor("float", (Reference("B", "open"), number(1), number(8), number(8))), "image")
    page = Page()
    x = page.apply(layer("flatten"), image)
    x = page.apply(layer("relu"), page.apply(layer("Linear", features=hidden), x, "fc1"))
    x = page.apply(layer("relu"), page.apply(layer("Linear", features=hidden), x, "fc2"))
    x = page.apply(layer("Linear", features=classes), x, "head")
    return Graph(page.unit("model", "MLP", image, x), (hidden, classes), outputs=("logits",))


@dataclass(frozen=True)
class Sizes:
    vocab: int
    context: int
    dim: int
    heads: int
    depth: int


SMALL = Sizes(vocab=97, context=160, dim=32, heads=4, depth=2)


def gpt(sizes: Sizes = SMALL) -> Graph:
    """specs/gpt.dlspec. Its copies do not differ, so that they are one unit."""
    vocab, context, dim = (_constant(n, getattr(sizes, n)) for n in ("vocab", "context", "dim"))
    heads, depth = _constant("heads", sizes.heads), _constant("depth", sizes.depth)
    drop = Reference("drop", "constant", target=number(0.1))
    tokens = Value(Tensor("int", (Reference("B", "open"), Reference("T", "open", most=context))), "tokens")
    page = Page()
    wte = page.apply(layer("Embedding", count=vocab, dim=dim), tokens, "wte")
    wpe = page.apply(layer("Positions", count=context, dim=dim), tokens, "wpe")
    x = page.apply(layer("Dropout", p=drop), page.add(wte, wpe), "dropout")
    block = _block(x, heads, dim, drop)
    page.modules.append(Copies("blocks", depth, (block,) * sizes.depth, SPAN))
    blocks = Value(x.type)
    page.nodes.append(Node(RunCopies(), (x,), (blocks,), SPAN, "blocks"))
    x = page.apply(layer("LayerNorm"), blocks, "norm")
    head = layer("Linear", features=vocab, bias=False, weight=Tie(("wte", "weight")))
    x = page.apply(head, x, "head", Tie(("wte", "weight")))
    model = page.unit("model", "GPT", tokens, x)
    return Graph(model, (vocab, context, dim, heads, depth, drop), {"T": context}, ("logits",))


def _block(around: Value, heads: Number, dim: Number, drop: Number) -> Unit:
    """The body of the `repeat`: two residuals, whose modules are the copy's own."""
    x = Value(around.type)
    page = Page()
    attention = layer("SelfAttention", heads=heads, causal=True, dropout=drop)
    mlp = _mlp_block(Operation("*", (Literal("4", number(4).value), dim)), dim)
    y = _residual(page, x, lambda inside, h: inside.apply(attention, h, "attn"), "attn", drop)
    y = _residual(page, y, lambda inside, h: inside.run(UnitModule("mlp", mlp(h), SPAN), h), "mlp", drop)
    return page.unit("copy", "blocks", x, y)


def _residual(page: Page, x: Value, body: Any, label: str, drop: Number) -> Value:
    inside, start = Page(), Value(x.type)
    h = body(inside, inside.apply(layer("LayerNorm"), start, f"{label}_norm"))
    h = inside.apply(layer("Dropout", p=drop), h, f"{label}_drop")
    page.modules += inside.modules
    y = Value(x.type)
    page.nodes.append(Node(Residual(Region(start, tuple(inside.nodes), h), None), (x,), (y,), SPAN))
    return y


def _mlp_block(hidden: Number, dim: Number) -> Any:
    def make(around: Value) -> Unit:
        # A block names what comes in by its own dims: here [b, t, d] stands for the model's [B, T, dim].
        assert isinstance(around.type, Tensor)
        dims = [Reference(n, "dim", "Mlp", d) for n, d in zip("btd", around.type.dims, strict=True)]
        parameter = Reference("hidden", "parameter", "Mlp", hidden)
        x, page = Value(Tensor("float", tuple(dims))), Page()
        y = page.apply(layer("Linear", features=parameter), x, "fc")
        y = page.apply(layer("gelu", approximate="tanh"), y)
        y = page.apply(layer("Linear", features=dim), y, "proj")
        return page.unit("block", "Mlp", x, y)

    return make


def _constant(name: str, value: int) -> Reference:
    return Reference(name, "constant", target=number(value))
