"""The text of what calls the kernels of a cross-entropy: launchers, operators, and the function of a recipe."""

from __future__ import annotations

import re

from ..pytorch.layout import fit
from .cross_entropy_features import CrossEntropyFeatures
from .specialise import Specialised, numbered

OWN_NAMES = (
    *("launch_cross_entropy_forward", "launch_cross_entropy_backward", "cross_entropy_gradient"),
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
        *("", "", *text.operators()),
        *("", "", *text.function()),
        *("", "", *text.entry()),
    ]
    return [part for line in lines for part in fit(named(line, (*kernels.parameters, *OWN_NAMES), number))]


def named(line: str, names: tuple[str, ...], number: int) -> str:
    """A line with the variant's number at its names; what PyTorch calls so is its own."""
    pattern = rf"(?<![.\w])(operators\.)?({'|'.join(sorted(set(names), key=len, reverse=True))})\b"
    return re.sub(pattern, lambda found: (found[1] or "") + numbered(found[2], number), line)


class Numbers:
    """The numbers that a cross-entropy is given besides logits and labels, in the forms that the text has them in."""

    def __init__(self, features: CrossEntropyFeatures) -> None:
        self.names = [*(["smoothing"] if features.smoothing else []), *(["ignore"] if features.ignore else [])]
        kinds = {"smoothing": "float", "ignore": "int"}
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

    def _arguments(self, kernel: str) -> str:
        """What a launch passes, in the order of the kernel's parameters."""
        given = {"row_step": "logits.stride(0)", "d_loss_step": "0", "BLOCK": "BLOCK=block"}
        return ", ".join(given.get(name, name) for name in self.kernels.parameters[kernel])

    # --- launchers ---

    def launch_forward(self) -> list[str]:
        return [
            f"def launch_cross_entropy_forward(logits: Tensor, labels: Tensor{self.numbers.parameters}) "
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
            "num_warps=block // 256)",
            "    return loss, lse",
        ]

    def gradient(self) -> list[str]:
        return [
            "def cross_entropy_gradient(d_loss: Tensor, logits: Tensor, labels: Tensor, lse: Tensor, "
            f"d_logits: Tensor{self.numbers.parameters}) -> None:",
            '    """Fills d_logits, which lies as logits does and may be logits itself."""',
            "    rows, V = logits.shape",
            "    labels = labels.contiguous()",
            "    widest = 2048 if V <= 65_536 else 8192",
            "    block = max(256, min(widest, triton.next_power_of_2(V)))",
            "    with torch.cuda.device_of(logits):",
            "        cross_entropy_backward[(rows, triton.cdiv(V, block))]"
            f"({self._arguments('cross_entropy_backward')}, num_warps=min(8, block // 256))",
        ]

    def launch_backward(self) -> list[str]:
        return [
            "def launch_cross_entropy_backward(d_loss: Tensor, logits: Tensor, labels: Tensor, "
            f"lse: Tensor{self.numbers.parameters}) -> Tensor:",
            "    size, step = logits.shape, logits.stride()",
            "    d_logits = torch.empty_strided(size, step, dtype=logits.dtype, device=logits.device)",
            f"    cross_entropy_gradient(d_loss, logits, labels, lse, d_logits{self.numbers.given})",
            "    return d_logits",
        ]

    # --- operators ---

    def operators(self) -> list[str]:
        given, schema = self.numbers.given, self.numbers.schema
        return [
            f"def cross_entropy_forward_shapes(logits, labels{given}):",
            "    loss = logits.new_empty(logits.shape[:1], dtype=torch.float32)",
            "    return loss, torch.empty_like(loss)",
            "",
            "",
            f"def cross_entropy_backward_shapes(d_loss, logits, labels, lse{given}):",
            "    return logits.new_empty_strided(logits.shape, logits.stride())",
            "",
            "",
            "operator(",
            f'    "cross_entropy_forward(Tensor logits, Tensor labels{schema}) -> (Tensor, Tensor)",',
            "    launch_cross_entropy_forward,",
            "    cross_entropy_forward_shapes,",
            ")",
            "operator(",
            f'    "cross_entropy_backward(Tensor d_loss, Tensor logits, Tensor labels, Tensor lse{schema}) -> Tensor",',
            "    launch_cross_entropy_backward,",
            "    cross_entropy_backward_shapes,",
            ")",
        ]

    # --- what a recipe calls ---

    def function(self) -> list[str]:
        given = self.numbers.given
        return [
            "class CrossEntropy(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, logits, labels{given}):",
            f"        loss, lse = operators.cross_entropy_forward(logits, labels{given})",
            f"        count = {count('labels', self.features)}.sum()",
            "        ctx.save_for_backward(logits, labels, lse, count)",
            *self.numbers.keep,
            "        return loss.sum() / count",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            "    def backward(ctx, d_mean):",
            "        logits, labels, lse, count = ctx.saved_tensors",
            "        d_loss = d_mean / count",
            f"        d_logits = operators.cross_entropy_backward(d_loss, logits, labels, lse{self.numbers.kept})",
            f"        return d_logits, None{self.numbers.nothing}",
        ]

    def entry(self) -> list[str]:
        return [
            f"def cross_entropy(logits: Tensor, labels: Tensor{self.numbers.parameters}) -> Tensor:",
            '    """The mean of -log softmax(logits)[label], in float32, fused where there is a GPU.',
            "",
            f"    logits [..., V], labels [...]; {not_counted(self.features)}",
            '    """',
            "    logits, labels = logits.flatten(0, -2), labels.flatten()",
            "    if not fused(logits, torch.float16, torch.bfloat16, torch.float32):",
            *plain(self.features),
            "    if logits.stride(1) != 1 or logits.stride(0) < logits.shape[1]:",
            "        logits = logits.contiguous()",
            f"    return CrossEntropy.apply(logits, labels{self.numbers.given})",
        ]


def count(labels: str, features: CrossEntropyFeatures) -> str:
    """Which labels count."""
    return f"(({labels} != -100) & ({labels} != ignore))" if features.ignore else f"({labels} != -100)"


def not_counted(features: CrossEntropyFeatures) -> str:
    return "labels of -100 and of `ignore` do not count." if features.ignore else "a label of -100 does not count."


def plain(features: CrossEntropyFeatures) -> list[str]:
    """What runs without a GPU, of `logits` [rows, V] and `labels` [rows], indented once more than a function's body."""
    smoothing = ", label_smoothing=smoothing" if features.smoothing else ""
    ignored = ["        labels = labels.masked_fill(labels == ignore, -100)"] if features.ignore else []
    return [
        "        # In float32 at least.",
        "        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))",
        *ignored,
        f"        return F.cross_entropy(logits, labels{smoothing})",
    ]
