"""What a linear layer and the cross-entropy of its logits ask of their kernels, and the text of what runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...scalars.print_torch import print_torch
from ..pytorch.layout import fit
from .column_sums import ColumnSums
from .common import IS_PLAIN, SCALED, SUMS_OF_PRODUCTS
from .cross_entropy_features import CrossEntropyFeatures
from .cross_entropy_text import OWN_NAMES, Numbers, count, examples, not_counted
from .numbering import with_numbers
from .specialise import Specialised
from .variant import Variant

_OWN_NAMES = (
    *("launch_linear_cross_entropy", "linear_cross_entropy_shapes", "linear_cross_entropy"),
    *("ChunkedCrossEntropy", "LinearCrossEntropy"),
)


_MOVED = [
    "",
    "    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LinearCrossEntropy:",
    '        """Move with the model; a cast does not round what classes count, and `to_empty` leaves it."""',
    "        super()._apply(fn, recurse)",
    "        device = self.class_weights.device",
    "        self.class_weights = torch.tensor(self.listed, dtype=torch.float32, device=device)",
    "        return self",
]


@dataclass(frozen=True)
class LinearCrossEntropyFeatures(Variant):
    """What is fixed when the kernels are written, which are those of `loss`."""

    kind: ClassVar[str] = "linear_cross_entropy"

    width: int
    """Of what comes in."""
    classes: int
    bias: bool
    loss: CrossEntropyFeatures

    @property
    def entry(self) -> str:
        return "LinearCrossEntropy"

    @property
    def shared(self) -> tuple[str, ...]:
        return (IS_PLAIN, SCALED, SUMS_OF_PRODUCTS, *self.loss.shared)

    @property
    def beside(self) -> tuple[Variant, ...]:
        return (ColumnSums(),) if self.bias else ()

    @property
    def on(self) -> CrossEntropyFeatures:
        return self.loss

    def kernels(self, number: int) -> Specialised:
        return Specialised((), "", {})

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        text = _Text(self)
        lines = [
            *text.launch(),
            *("", "", *text.operator()),
            *("", "", *text.function()),
            *("", "", *text.entry()),
            *("", "", *text.module()),
        ]
        return [part for line in lines for part in fit(with_numbers(line, (*OWN_NAMES, *_OWN_NAMES), number))]


class _Text:
    def __init__(self, features: LinearCrossEntropyFeatures) -> None:
        self.features, self.numbers = features, Numbers(features.loss)
        self.learned = ["weight", *(["bias"] if features.bias else [])]
        self.weights = ["class_weights"] if features.loss.weights else []
        """Called so beside the weight of the layer."""
        self.incoming = ["x", *self.learned, "labels", *self.weights]
        self.gradients = [f"d_{name}" for name in ["x", *self.learned]]

    def _tensors(self) -> str:
        return ", ".join(f"{name}: Tensor" for name in self.incoming)

    def _names(self) -> str:
        return ", ".join(self.incoming) + self.numbers.given

    def launch(self) -> list[str]:
        bias = self.features.bias
        product = (
            "torch.addmm(bias, some, weight.t(), out=logits)" if bias else "torch.mm(some, weight.t(), out=logits)"
        )
        weights, numbers = "".join(f", {name}" for name in self.weights), self.numbers.given
        return [
            f"def launch_linear_cross_entropy({self._tensors()}{self.numbers.parameters}, by_x: bool, by_weight: bool) "
            f"-> tuple[{', '.join(['Tensor'] * (1 + len(self.gradients)))}]:",
            '    """The sum of the losses of x [rows, width], and its gradients, as many rows of logits at a',
            "    time as take the memory of x, or four times that of the weight where that is more.",
            '    """',
            "    (rows, width), V = x.shape, weight.shape[0]",
            "    # Each chunk goes through the gradient of the weight, as long as 4 * width rows of logits",
            "    # have a part of that to read and write: fewer rows would take longer.",
            "    chunk = max(rows * width // V, 4 * width)",
            "    total = torch.zeros((), dtype=torch.float32, device=x.device)",
            "    d_x = x.new_empty(rows if by_x else 0, width)",
            "    size = V if by_weight else 0",
            "    d_weight = torch.zeros((size, width), dtype=torch.float32, device=x.device)",
            *(["    d_bias = torch.zeros(size, dtype=torch.float32, device=x.device)"] if bias else []),
            "    # Rows are padded: products are fast where each begins at an aligned address.",
            "    room = x.new_empty(min(chunk, rows), -(-V // 16) * 16)[:, :V]",
            "    for start in range(0, rows, chunk):",
            "        some, true = x[start : start + chunk], labels[start : start + chunk]",
            "        logits = room[: len(some)]",
            f"        {product}",
            "        if not (by_x or by_weight):",
            f"            loss, _ = launch_cross_entropy_forward(logits, true{weights}{numbers})",
            "            total += loss.sum()",
            "            continue",
            "        # As if the gradient by the sum were 1: small numbers would be lost in float16.",
            f"        total += cross_entropy_with_gradient(logits, true{weights}{numbers}).sum()",
            "        if by_x:",
            "            torch.mm(logits, weight, out=d_x[start : start + chunk])",
            "        if by_weight:",
            "            add_product(d_weight, logits.t(), some)",
            *(["            d_bias += launch_column_sums(logits, torch.float32)"] if bias else []),
            f"    return total, {', '.join(self.gradients)}",
        ]

    def operator(self) -> list[str]:
        schema = ", ".join(f"Tensor {name}" for name in self.incoming)
        outputs = ", ".join(["Tensor"] * (1 + len(self.gradients)))
        bias = ["    d_bias = x.new_empty((size,), dtype=torch.float32)"] if self.features.bias else []
        return [
            f"def linear_cross_entropy_shapes({self._names()}, by_x, by_weight):",
            "    (rows, width), size = x.shape, weight.shape[0] if by_weight else 0",
            "    total = x.new_empty((), dtype=torch.float32)",
            "    d_x = x.new_empty(rows if by_x else 0, width)",
            "    d_weight = x.new_empty((size, width), dtype=torch.float32)",
            *bias,
            f"    return total, {', '.join(self.gradients)}",
            "",
            "",
            "operator(",
            f'    "linear_cross_entropy({schema}{self.numbers.schema}, bool by_x, bool by_weight) -> ({outputs})",',
            "    launch_linear_cross_entropy,",
            "    linear_cross_entropy_shapes,",
            ")",
        ]

    def function(self) -> list[str]:
        given = self._names()
        learned = [f"{name}.to(x.dtype)" for name in self.learned]
        cast = ", ".join(["x", *learned, "labels", *self.weights]) + self.numbers.given
        gradients = ", ".join(self.gradients)
        dtypes = ", ".join(f"{name}.dtype" for name in ["x", *self.learned])
        nothing = ", None" * len(["labels", *self.weights]) + self.numbers.nothing
        summed = self.features.loss.summed
        # Where nothing counts; what does comes to less than 1 where classes count so little.
        divisor = "count.masked_fill(count == 0, 1)" if self.weights else "count.clamp(min=1)"
        return [
            "class ChunkedCrossEntropy(torch.autograd.Function):",
            '    """Gradients are made in the forward pass, while logits are there; backward only scales."""',
            "",
            "    @staticmethod",
            f"    def forward(ctx, {given}, by_x, by_weight):",
            f"        total, *gradients = operators.linear_cross_entropy({cast}, by_x, by_weight)",
            *([] if summed else [f"        count = {count('labels', self.features.loss, 'class_weights')}.sum()"]),
            f"        ctx.save_for_backward({'' if summed else 'count, '}*gradients)",
            f"        ctx.dtypes = {dtypes}",
            f"        return total{'' if summed else ' / count'}",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            f"    def backward(ctx, {'scale' if summed else 'd_mean'}):",
            f"        {'gradients' if summed else 'count, *gradients'} = ctx.saved_tensors",
            *([] if summed else [f"        scale = d_mean / {divisor}"]),
            f"        {gradients} = (",
            "            scaled(gradient, scale, dtype) if needed else None",
            "            for gradient, dtype, needed in zip(gradients, ctx.dtypes, ctx.needs_input_grad)",
            "        )",
            f"        return {gradients}{nothing}, None, None",
        ]

    def entry(self) -> list[str]:
        features = self.features
        bias = ", bias" if features.bias else ""
        learned = " or ".join(f"{name}.requires_grad" for name in self.learned)
        learned = f"({learned})" if features.bias else learned
        share = " / examples" if features.loss.summed else ""
        weights = ", class_weights" if self.weights else ""
        return [
            f"def linear_cross_entropy({self._tensors()}{self.numbers.parameters}) -> Tensor:",
            '    """cross_entropy of a linear layer, which on a GPU never has all of its logits.',
            "",
            f"    x [..., {features.width}], labels [...]; {not_counted(features.loss)}",
            *(f"    {name} [V], float32, is what each class counts." for name in self.weights),
            '    """',
            "    if not fused(x):",
            f"        return cross_entropy(F.linear(x, weight{bias}), labels{weights}{self.numbers.given})",
            "    if torch.is_autocast_enabled(x.device.type):",
            "        x = x.to(torch.get_autocast_dtype(x.device.type))",
            *examples(features.loss, "x"),
            "    x, labels = x.flatten(0, -2).contiguous(), labels.flatten()",
            "    hold_labels(labels, len(x))",
            "    by_x = torch.is_grad_enabled() and x.requires_grad",
            f"    by_weight = torch.is_grad_enabled() and {learned}",
            f"    return ChunkedCrossEntropy.apply({self._names()}, by_x, by_weight){share}",
        ]

    def module(self) -> list[str]:
        features = self.features
        listed = "".join(f", {name}: list[float]" for name in self.weights)
        bias = "" if features.bias else ", bias: bool"
        learned = "".join(f", self.{name}" for name in self.learned)
        made = [
            f"    def __init__(self, inputs: int, outputs: int{bias}{listed}{self.numbers.parameters}) -> None:",
            f"        super().__init__(inputs, outputs{'' if features.bias else ', bias=bias'})",
            *(self._class_weights() if self.weights else []),
            *(f"        self.{name} = {name}" for name in self.numbers.names),
            "",
        ]
        beside = "".join(f", self.{name}" for name in [*self.weights, *self.numbers.names])
        function = features.loss.function
        logits = ["            return super().__call__(x)"]
        if function is not None:
            text = print_torch(function, {"x"}, name=lambda _: "logits")
            logits = ["            logits = super().__call__(x)", f"            return {text}"]
        return [
            "class LinearCrossEntropy(nn.Linear):",
            f'    """[..., {features.width}] -> [..., {features.classes}]; with targets [...], their cross-entropy."""',
            "",
            *(made if self.weights or self.numbers.names else []),
            "    def __call__(self, x: Tensor, targets: Tensor | None = None) -> Tensor:",
            "        if targets is None:",
            *logits,
            f"        if not is_plain(self) or self.bias is {'None' if features.bias else 'not None'}:",
            "            # Hooks take and give what those of a linear layer do.",
            f"            return cross_entropy(super().__call__(x), targets{beside})",
            f"        return linear_cross_entropy(x{learned}, targets{beside})",
            *(_MOVED if self.weights else []),
        ]

    def _class_weights(self) -> list[str]:
        return [
            "        self.listed = class_weights",
            "        counts = torch.tensor(class_weights, dtype=torch.float32)",
            '        self.register_buffer("class_weights", counts, persistent=False)',
        ]
