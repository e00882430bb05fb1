"""The text of what calls the kernels of a cross-entropy: launchers, operators, and the function of a recipe."""

from __future__ import annotations

from dataclasses import replace

from ...scalars.expression import Expression
from ...scalars.print_torch import print_torch
from ..pytorch.layout import fit
from .cross_entropy_features import CrossEntropyFeatures
from .numbering import with_numbers
from .specialise import Specialised

OWN_NAMES = (
    *("launch_cross_entropy_forward", "launch_cross_entropy_backward", "cross_entropy_gradient"),
    "cross_entropy_with_gradient",
    *("cross_entropy_forward_shapes", "cross_entropy_backward_shapes", "cross_entropy_mean"),
    *("cross_entropy_forward", "cross_entropy_backward", "CrossEntropy", "cross_entropy"),
)
"""What is defined beside the kernels, and the operators."""


def calling_lines(features: CrossEntropyFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    text = _Text(features, kernels)
    lines = [
        *text.launch_forward(),
        *("", "", *text.gradient()),
        *("", "", *text.launch_backward()),
        *(("", "", *text.launch_in_place()) if features.chunked else ()),
        *("", "", *text.operators()),
        *("", "", *text.function()),
        *("", "", *text.entry()),
    ]
    return [part for line in lines for part in fit(with_numbers(line, (*kernels.parameters, *OWN_NAMES), number))]


class Numbers:
    """The numbers that a cross-entropy is given besides logits and labels, in the forms that the text has them in."""

    def __init__(self, features: CrossEntropyFeatures) -> None:
        asked = {"smoothing": features.smoothing, "z_loss": features.z_loss, "ignore": features.ignore}
        self.names = [name for name, given in asked.items() if given]
        kinds = {"smoothing": "float", "z_loss": "float", "ignore": "int"}
        self.given = "".join(f", {name}" for name in self.names)
        """As arguments, after others."""
        self.parameters = "".join(f", {name}: {kinds[name]}" for name in self.names)
        self.schema = "".join(f", {kinds[name]} {name}" for name in self.names)
        self.kept = "".join(f", ctx.{name}" for name in self.names)
        self.nothing = ", None" * len(self.names)
        """Their gradients."""
        self.keep = [f"        ctx.{name} = {name}" for name in self.names]


class _Text:
    def __init__(self, features: CrossEntropyFeatures, kernels: Specialised) -> None:
        self.features, self.kernels, self.numbers = features, kernels, Numbers(features)
        self.tensors = ["labels", *(["weights"] if features.weights else [])]
        """What comes with the logits."""
        self.beside = ", ".join(self.tensors) + self.numbers.given
        self.typed = ", ".join(f"{name}: Tensor" for name in self.tensors)
        self.schema = ", ".join(f"Tensor {name}" for name in self.tensors)

    def _arguments(self, kernel: str) -> str:
        """What a launch passes, in the order of the kernel's parameters."""
        given = {
            "row_step": "logits.stride(0)",
            "mean_weight": "weights.mean()",
            "z": "z_loss",
            "BLOCK": "BLOCK=block",
        }
        return ", ".join(given.get(name, name) for name in self.kernels.parameters[kernel])

    # --- launchers ---

    def launch_forward(self) -> list[str]:
        return [
            f"def launch_cross_entropy_forward(logits: Tensor, {self.typed}{self.numbers.parameters}) "
            "-> tuple[Tensor, Tensor]:",
            '    """loss and lse of each row of logits [rows, V], whose numbers lie side by side."""',
            "    rows, V = logits.shape",
            "    labels = labels.contiguous()",
            "    loss = torch.empty(rows, dtype=torch.float32, device=logits.device)",
            "    lse = torch.empty_like(loss)",
            "    # A thread has 16 bytes of a tile, or twice as many of float32.",
            "    block = max(256, min(2048, triton.next_power_of_2(V)))",
            "    with torch.cuda.device_of(logits):",
            f"        cross_entropy_forward[(rows,)]({self._arguments('cross_entropy_forward')}, "
            "num_warps=warps(block // 8))",
            "    return loss, lse",
        ]

    def gradient(self) -> list[str]:
        return [
            f"def cross_entropy_gradient(d_loss: Tensor, logits: Tensor, {self.typed}, lse: Tensor, "
            f"d_logits: Tensor{self.numbers.parameters}) -> None:",
            '    """Fills d_logits, which lies as logits does and may be logits itself."""',
            "    rows, V = logits.shape",
            "    labels = labels.contiguous()",
            "    widest = 2048 if V <= 65_536 else 8192",
            "    block = max(256, min(widest, triton.next_power_of_2(V)))",
            "    with torch.cuda.device_of(logits):",
            "        cross_entropy_backward[(rows, triton.cdiv(V, block))]"
            f"({self._arguments('cross_entropy_backward')}, num_warps=warps(min(256, block // 8)))",
        ]

    def launch_backward(self) -> list[str]:
        return [
            f"def launch_cross_entropy_backward(d_loss: Tensor, logits: Tensor, {self.typed}, "
            f"lse: Tensor{self.numbers.parameters}) -> Tensor:",
            "    size, step = logits.shape, logits.stride()",
            "    d_logits = torch.empty_strided(size, step, dtype=logits.dtype, device=logits.device)",
            f"    cross_entropy_gradient(d_loss, logits, {', '.join(self.tensors)}, lse, d_logits{self.numbers.given})",
            "    return d_logits",
        ]

    def launch_in_place(self) -> list[str]:
        return [
            f"def cross_entropy_with_gradient(logits: Tensor, {self.typed}{self.numbers.parameters}) -> Tensor:",
            '    """The loss of each row. Logits become the gradient by them, as if that by each',
            "    loss were 1.",
            '    """',
            "    rows, V = logits.shape",
            "    labels = labels.contiguous()",
            "    loss = torch.empty(rows, dtype=torch.float32, device=logits.device)",
            "    # So many threads a row that a multiprocessor has two at a time, for which the cache has room.",
            "    block = max(256, min(8192, triton.next_power_of_2(V)))",
            "    with torch.cuda.device_of(logits):",
            f"        cross_entropy_in_place[(rows,)]({self._arguments('cross_entropy_in_place')}, "
            "num_warps=warps(block // 16))",
            "    return loss",
        ]

    # --- operators ---

    def operators(self) -> list[str]:
        given, schema, tensors = self.numbers.given, self.numbers.schema, ", ".join(self.tensors)
        return [
            f"def cross_entropy_forward_shapes(logits, {tensors}{given}):",
            "    loss = logits.new_empty(logits.shape[:1], dtype=torch.float32)",
            "    return loss, torch.empty_like(loss)",
            "",
            "",
            f"def cross_entropy_backward_shapes(d_loss, logits, {tensors}, lse{given}):",
            "    return logits.new_empty_strided(logits.shape, logits.stride())",
            "",
            "",
            "operator(",
            f'    "cross_entropy_forward(Tensor logits, {self.schema}{schema}) -> (Tensor, Tensor)",',
            "    launch_cross_entropy_forward,",
            "    cross_entropy_forward_shapes,",
            ")",
            "operator(",
            f'    "cross_entropy_backward(Tensor d_loss, Tensor logits, {self.schema}, Tensor lse{schema}) -> Tensor",',
            "    launch_cross_entropy_backward,",
            "    cross_entropy_backward_shapes,",
            ")",
        ]

    # --- what a recipe calls ---

    def function(self) -> list[str]:
        tensors, summed = ", ".join(self.tensors), self.features.summed
        return [
            "class CrossEntropy(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, logits, {self.beside}):",
            f"        loss, lse = operators.cross_entropy_forward(logits, {self.beside})",
            *([] if summed else [f"        count = {count('labels', self.features)}.sum()"]),
            f"        ctx.save_for_backward(logits, {tensors}, lse{'' if summed else ', count'})",
            *self.numbers.keep,
            f"        return loss.sum(){'' if summed else ' / count'}",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            f"    def backward(ctx, {'d_loss' if summed else 'd_mean'}):",
            f"        logits, {tensors}, lse{'' if summed else ', count'} = ctx.saved_tensors",
            *([] if summed else ["        d_loss = d_mean / count"]),
            f"        d_logits = operators.cross_entropy_backward(d_loss, logits, {tensors}, lse{self.numbers.kept})",
            f"        return d_logits{', None' * len(self.tensors)}{self.numbers.nothing}",
        ]

    def entry(self) -> list[str]:
        return [
            f"def cross_entropy(logits: Tensor, {self.typed}{self.numbers.parameters}) -> Tensor:",
            *self._told(),
            "",
            *self._said(),
            '    """',
            *examples(self.features, "logits"),
            "    logits, labels = logits.flatten(0, -2), labels.flatten()",
            "    if not fused(logits):",
            *plain(self.features),
            "    hold_labels(labels, len(logits))",
            "    if logits.stride(1) != 1 or logits.stride(0) < logits.shape[1]:",
            "        logits = logits.contiguous()",
            f"    return CrossEntropy.apply(logits, {self.beside}){' / examples' if self.features.summed else ''}",
        ]

    def _told(self) -> list[str]:
        if not self.features.summed:
            return ['    """The mean of -log softmax(logits)[label], in float32, fused where there is a GPU.']
        return [
            '    """-log softmax(logits)[label], in float32, fused where there is a GPU: the sum of each',
            "    example, and the mean of these.",
        ]

    def _said(self) -> list[str]:
        """What its docstring says of what it is given."""
        features = self.features
        lines = [f"    logits [..., V], labels [...]; {not_counted(features)}"]
        if features.function is not None:
            lines.insert(0, f"    What comes in as logits goes through {_function(features.function)} first.")
        if features.weights:
            counts = "    weights [V], float32, is what each class counts"
            divided = [f"{counts}: the mean is divided by", "    those of the labels."]
            lines += [f"{counts}."] if features.summed else divided
        if features.z_loss:
            lines.append("    z_loss * log(sum(exp(logits))) ^ 2 is added (Chowdhery et al. 2022).")
        return lines


def examples(features: CrossEntropyFeatures, name: str) -> list[str]:
    """What tells how many examples there are, where sums are divided by that; rows are more."""
    return [f"    examples = len({name})"] if features.summed else []


def count(labels: str, features: CrossEntropyFeatures, weights: str = "weights") -> str:
    """Which labels count, or how much each does."""
    counted = f"(({labels} != -100) & ({labels} != ignore))" if features.ignore else f"({labels} != -100)"
    # A label that is no class has made the loss no number already.
    return f"({counted} * {weights}[{labels}.clamp(0, len({weights}) - 1)])" if features.weights else counted


def _function(function: Expression) -> str:
    return print_torch(function, {"x"}, name=lambda _: "logits")


def not_counted(features: CrossEntropyFeatures) -> str:
    return "labels of -100 and of `ignore` do not count." if features.ignore else "a label of -100 does not count."


def plain(features: CrossEntropyFeatures) -> list[str]:
    """What runs without a GPU, of `logits` [rows, V] and `labels` [rows], indented once more than a function's body."""
    options = ", weights" if features.weights else ""
    options += ", label_smoothing=smoothing" if features.smoothing else ""
    ignored = ["        labels = labels.masked_fill(labels == ignore, -100)"] if features.ignore else []
    function: list[str] = []
    if features.function is not None:
        function = [f"        logits = {_function(features.function)}"]
    options += ', reduction="sum"' if features.summed else ""
    share = " / examples" if features.summed else ""
    last = [f"        return F.cross_entropy(logits, labels{options}){share}"]
    if features.z_loss:
        # As many as the labels count, which is what the mean is divided by.
        last = [
            "        squares = logits.logsumexp(-1).square()",
            f"        counted = {count('labels', replace(features, ignore=False))[1:-1]}",
            f"        loss = F.cross_entropy(logits, labels{options}){share}",
            f"        return loss + z_loss * (squares * counted).sum(){share or ' / counted.sum()'}",
        ]
    return [
        *function,
        "        # In float32 at least.",
        "        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))",
        *(["        weights = weights.to(logits.dtype)"] if features.weights else []),
        *ignored,
        *last,
    ]
