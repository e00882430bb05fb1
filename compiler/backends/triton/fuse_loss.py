"""The last Linear of a model and the cross-entropy of its output become one step, which never holds all logits.

before   def forward(self, tokens):               after   def forward(self, tokens, targets=None):
             ..                                               ..
             return cap(self.head(x), limit=30)               return self.head(x, targets)

Given targets the model returns the loss; without them the logits, as before. A function of each logit behind the Linear
goes along. No key of the checkpoint changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...ir.graph import Apply, Graph, LayerModule, Node, Unit, Value
from ...ir.reads import named_values, uses
from ...layers.linear import Linear
from ...layers.side import Side
from ...scalars.expression import Expression
from ...semantics.number import whole
from ...semantics.tensor import Tensor
from ...training.arguments import argument_names
from ...training.losses.cross_entropy import CrossEntropy
from ...training.objective import LossTerm
from ...training.plan import TrainPlan
from ...training.spelling import real_text
from ..pytorch.names import numbered_names, safe_name
from .cross_entropy_features import CrossEntropyFeatures
from .entry_functions import EntryFunction, function_before, settled
from .linear_cross_entropy import LinearCrossEntropyFeatures
from .loss_head import LossHead
from .losses import features_of, fused_losses, ignored


@dataclass(frozen=True)
class InModel:
    """A loss that the model computes: the targets are its argument `name`, and come from `source` ("data.targets")."""

    name: str
    source: str
    features: CrossEntropyFeatures
    numbers: dict[str, str]
    """What the loss computes with, as Python."""


@dataclass(frozen=True)
class _Head:
    """The Linear that gives logits, and what is done to each of them behind it."""

    linear: Node
    behind: EntryFunction

    @property
    def function(self) -> Expression | None:
        """Over `x`; None where nothing is done."""
        return settled(self.behind.expression) if self.behind.steps else None


def loss_in_model(graph: Graph, plan: TrainPlan) -> InModel | None:
    """Where the loss is a cross-entropy of the model's only output, and that comes from a Linear; else None.

    Such a loss has its gradients made in the forward pass, which knows nothing of the scale that fp16 needs for them.
    """
    if plan.precision == "fp16":
        return None
    term, head = plan.loss, _head(graph.model)
    if not isinstance(term, LossTerm) or not isinstance(term.loss, CrossEntropy) or head is None:
        return None
    if not any(one is term for one, _ in fused_losses(plan)):
        return None
    if term.said.origin != "output" or term.true.origin not in ("data", "input"):
        return None
    stem = argument_names(term.values)[term.true.source]
    taken = set(map(safe_name, named_values(graph.model)))
    name = next(name for name in numbered_names(stem) if name not in taken)
    features = replace(features_of(term.loss, ignored(plan), head.function), chunked=True)
    return InModel(name, term.true.source, features, _weights(term.loss) | term.loss.numbers(ignored(plan)))


def _weights(loss: CrossEntropy) -> dict[str, str]:
    """What classes count, which a recipe makes a tensor of and here the module does."""
    return {} if loss.weight is None else {"class_weights": f"[{', '.join(map(real_text, loss.weight))}]"}


def fuse_loss(graph: Graph, loss: InModel) -> Graph:
    unit = graph.model
    found = _head(unit)
    assert found is not None
    node = found.linear
    assert isinstance(node.op, Apply) and isinstance(node.op.layer, Linear)
    x, logits = node.inputs[0].type, node.output.type
    assert isinstance(x, Tensor) and isinstance(logits, Tensor)
    targets = Value(Tensor("int", logits.dims[:-1]), loss.name)
    features = LinearCrossEntropyFeatures(whole(x.dims[-1]), whole(logits.dims[-1]), node.op.layer.bias, loss.features)
    head = LossHead(
        linear=node.op.layer,
        features=features,
        numbers=loss.numbers,
        targets=Side(targets.type, 1),  # type: ignore[arg-type]
    )
    last = replace(node, op=Apply(head), inputs=(*node.inputs, targets), outputs=unit.outputs)
    modules = tuple(
        replace(module, layer=head) if isinstance(module, LayerModule) and module.name == node.module else module
        for module in unit.modules
    )
    nodes = tuple(last if one is node else one for one in unit.nodes if one not in found.behind.steps)
    inputs, optional = (*unit.inputs, targets), (*unit.optional, targets)
    return replace(graph, model=replace(unit, inputs=inputs, nodes=nodes, modules=modules, optional=optional))


def _head(unit: Unit) -> _Head | None:
    """The Linear of the model's own with many classes whose output is the only one of the model, and read nowhere
    else, or a function of each of its entries that is."""
    if len(unit.outputs) != 1:
        return None
    output, read = unit.outputs[0], uses(unit)
    behind = function_before(output, unit.nodes, read)
    node = next((one for one in unit.nodes if behind.of in one.outputs), None)
    if node is None or not isinstance(node.op, Apply) or not isinstance(node.op.layer, Linear):
        return None
    own = unit.borrowed(node.module) is None
    x = node.inputs[0].type
    # Where classes are few, logits take less memory than what they are made of.
    many = isinstance(x, Tensor) and whole(node.op.layer.features) > whole(x.dims[-1])
    return _Head(node, behind) if own and many and read[output] == 1 else None
