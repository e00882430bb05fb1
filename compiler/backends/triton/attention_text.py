"""The text of an attention's kernels, and of what calls them: launchers, operators, the function that a model calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..pytorch.layout import fit
from .attention_features import AttentionFeatures
from .attention_plain import plain_lines
from .attention_score import score_functions
from .attention_tiles import TABLES, table_lines
from .specialise import Specialised, numbered, specialise

KERNELS = (
    "attention_forward.attention_forward",
    "attention_backward.attention_delta",
    "attention_backward.attention_backward_keys",
    "attention_backward.attention_backward_queries",
)
BIAS_KERNEL = "attention_bias.attention_backward_bias"
"""Where something is added to the scores."""

_OPERATORS = ("attention_forward", "attention_backward", "attention_backward_bias")
_OWN_NAMES = (
    *_OPERATORS,
    *(f"launch_{name}" for name in _OPERATORS),
    *(f"{name}_shapes" for name in _OPERATORS),
    *("Attention", "attention", "attention_plain"),
)
"""What is defined beside the kernels, and the operators."""


@dataclass(frozen=True)
class Given:
    """What a model hands in besides queries, keys and values."""

    name: str
    kind: str
    """`Tensor`, `int` or `float`."""
    shape: str = ""


def given(features: AttentionFeatures) -> list[Given]:
    """In the order of the emitted function's arguments."""
    found = []
    if features.prefix != "none":
        each = features.prefix == "each"
        found.append(Given("prefix", "Tensor", "[B]") if each else Given("prefix", "int"))
    if features.documents:
        found.append(Given("documents", "Tensor", "[B, T]"))
    if features.bias != "none":
        table = f"heads, T, {'T' if features.square else 'S'}"
        found.append(Given("bias", "Tensor", f"[{table}]" if features.bias == "one" else f"[B, {table}]"))
    if features.mask != "none":
        found.append(Given("mask", "Tensor", "[B, S]" if features.mask == "keys" else "[B, T, S]"))
    if features.alibi:
        found.append(Given("slopes", "Tensor", "[heads]"))
    if features.score is not None and features.score.by_head:
        found.append(Given("weights", "Tensor", f"[{len(features.score.by_head)}, heads]"))
    if features.window:
        found.append(Given("window", "int"))
    if features.softcap:
        found.append(Given("softcap", "float"))
    if features.scaled:
        found.append(Given("scale", "float"))
    if features.dropout:
        found.append(Given("dropout", "float"))
    return found


def specialised(features: AttentionFeatures, number: int) -> Specialised:
    replaced = score_functions(features.score) if features.score is not None else {}
    return specialise(roots(features), features.constants(), replaced, number)


def roots(features: AttentionFeatures) -> tuple[str, ...]:
    """The kernels that are launched, "template.function" each."""
    return KERNELS if features.bias == "none" else (*KERNELS, BIAS_KERNEL)


def calling_lines(features: AttentionFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    text = _Text(features, kernels)
    lines = [
        *table_lines(features.tables, features.width, features.group),
        *("", "", *text.launch_forward()),
        *("", "", *text.launch_backward()),
        *(("", "", *text.launch_backward_bias()) if text.biased else ()),
        *("", "", *text.operators()),
        *("", "", *text.function()),
        *("", "", *text.entry()),
        *("", "", *plain_lines(features, text.given)),
    ]
    names = {*(kernel.split(".")[1] for kernel in roots(features)), *TABLES, *_OWN_NAMES}
    pattern = re.compile(rf"\b({'|'.join(sorted(names, key=len, reverse=True))})\b")

    def named(line: str) -> str:
        # A docstring speaks of attention as such.
        return line if line.lstrip().startswith('"""') else pattern.sub(lambda found: numbered(found[0], number), line)

    return [part for line in lines for part in fit(named(line))]


class _Text:
    def __init__(self, features: AttentionFeatures, kernels: Specialised) -> None:
        self.features, self.kernels = features, kernels
        self.given = given(features)
        self.seed = [Given("seed", "Tensor | None")] if features.dropout else []
        self.learned = features.score is not None and bool(features.score.by_head)
        """Whether a gradient goes to `weights`, too."""
        self.biased = features.bias != "none"
        """Whether one may go to what is added to the scores."""

    # --- pieces ---

    def _parameters(self, names: Sequence[str], more: Sequence[Given]) -> str:
        return ", ".join([*(f"{name}: Tensor" for name in names), *(f"{one.name}: {one.kind}" for one in more)])

    def _names(self, names: Sequence[str]) -> str:
        return ", ".join([*names, *(one.name for one in (*self.given, *self.seed))])

    @property
    def _all(self) -> list[Given]:
        return [*self.given, *self.seed]

    def _sizes(self) -> list[str]:
        width = "_" if self.features.scaled else "width"
        return [f"    B, T, heads, {width} = q.shape", *([] if self.features.scaled else ["    scale = width**-0.5"])]

    def _side_by_side(self) -> list[str]:
        return [f"    {one.name} = {one.name}.contiguous()" for one in self.given if one.kind == "Tensor"]

    def _arguments(self, kernel: str, outputs: dict[str, str], block: str) -> Iterator[str]:
        """What a launch passes, in the order of the kernel's parameters; `block` counts what `spans` are of."""
        expressions = {
            **{name: f"tiles_of({name}, {rows}, described)" for name, rows in zip("qkv", "mnn", strict=True)},
            "d_out": "tiles_of(d_out, m, described)",
            **{f"{name}_row": f"{name}.stride(1)" for name in ("q", "k", "v", "d_out")},
            "cap": "softcap",
            "prefixes": "prefix",
            "seeds": "seed",
            "drop": "dropout",
            "spans": f"document_spans(documents, {block})",
            **outputs,
        }
        constants = {
            "BLOCK_M": "m",
            "BLOCK_N": "n",
            "STAGES": "stages",
            "DESCRIBED": "described",
            "RAGGED": "T % m != 0 or S % n != 0",
            "DROPOUT": "dropout > 0",
        }
        for parameter in self.kernels.parameters[kernel]:
            if parameter in constants:
                yield f"{parameter}={constants[parameter]}"
            else:
                yield expressions.get(parameter, parameter)

    def _launch(self, kernel: str, grid: str, outputs: dict[str, str], block: str) -> str:
        options = ["num_warps=warps", "num_stages=stages"]
        return f"{kernel}[{grid}]({', '.join([*self._arguments(kernel, outputs, block), *options])})"

    # --- launchers ---

    def launch_forward(self) -> list[str]:
        return [
            f"def launch_attention_forward({self._parameters('qkv', self._all)}) -> tuple[Tensor, Tensor]:",
            *self._sizes(),
            "    S = k.shape[1]",
            "    q, k, v = rows(q), rows(k), rows(v)",
            *self._side_by_side(),
            "    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)",
            "    lse = torch.empty((B, heads, T), dtype=torch.float32, device=q.device)",
            "    m, n, warps, stages, described = tiles(ATTENTION_FORWARD, q)",
            "    with torch.cuda.device_of(q):",
            f"        {self._launch('attention_forward', '(triton.cdiv(T, m), B * heads)', {}, 'm')}",
            "    return out, lse",
        ]

    def launch_backward(self) -> list[str]:
        names = ["d_out", "q", "k", "v", "out", "lse"]
        results = self._results()
        keys = self._launch(
            "attention_backward_keys",
            "(triton.cdiv(S, n), B * kv_heads)",
            {"d_k_out": "d_k", "d_v_out": "d_v"},
            "n",
        )
        queries = self._launch(
            "attention_backward_queries", "(blocks, B * heads)", {"d_q_out": "d_q", "d_weights": "shares"}, "m"
        )
        lines = [
            f"def launch_attention_backward({self._parameters(names, self._all)}) -> tuple[{_tensors(results)}]:",
            *self._sizes(),
            "    S, kv_heads = k.shape[1:3]",
            "    q, k, v, d_out = rows(q), rows(k), rows(v), d_out.contiguous()",
            *self._side_by_side(),
            "    d_q = torch.empty(q.shape, dtype=q.dtype, device=q.device)",
            "    d_k = torch.empty(k.shape, dtype=k.dtype, device=k.device)",
            "    d_v = torch.empty(v.shape, dtype=v.dtype, device=v.device)",
            "    delta = torch.empty_like(lse)",
            "    with torch.cuda.device_of(q):",
            "        blocks = triton.cdiv(T, 64)",
            "        attention_delta[(blocks, B * heads)](out, d_out, delta, T, heads, BLOCK_M=64)",
            "        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_KEYS, q)",
            f"        {keys}",
            "        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_QUERIES, q)",
            "        blocks = triton.cdiv(T, m)",
        ]
        if self.learned:
            lanes = self.features.constants()["LANES"]
            lines += [
                "        # A share of the weights' gradient from each program.",
                f"        shares = torch.empty((B, heads, blocks, {lanes}), device=q.device)",
            ]
        lines.append(f"        {queries}")
        if self.learned:
            assert self.features.score is not None
            lines.append(f"    d_weights = shares.sum((0, 2)).T[:{len(self.features.score.by_head)}].to(weights.dtype)")
        return [*lines, f"    return {', '.join(results)}"]

    def launch_backward_bias(self) -> list[str]:
        names = ["d_out", "q", "k", "v", "lse", "delta"]
        planes = "heads" if self.features.bias == "one" else "B * heads"
        launch = self._launch("attention_backward_bias", f"(triton.cdiv(S, n), triton.cdiv(T, m), {planes})", {}, "m")
        return [
            f"def launch_attention_backward_bias({self._parameters(names, self._all)}) -> Tensor:",
            *self._sizes(),
            "    S = k.shape[1]",
            "    q, k, v, d_out = rows(q), rows(k), rows(v), d_out.contiguous()",
            *self._side_by_side(),
            "    d_bias = torch.empty_like(bias)",
            "    m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_BIAS, q)",
            "    with torch.cuda.device_of(q):",
            f"        {launch}",
            "    return d_bias",
        ]

    def _results(self) -> list[str]:
        """Of the backward operator; `delta` is for that of the bias."""
        return ["d_q", "d_k", "d_v", *(["d_weights"] if self.learned else []), *(["delta"] if self.biased else [])]

    # --- operators ---

    def operators(self) -> list[str]:
        schema = [_schema(one) for one in self._all]
        forward = ", ".join(["Tensor q, Tensor k, Tensor v", *schema])
        backward = ", ".join(["Tensor d_out, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse", *schema])
        shapes = ["q.new_empty(q.shape)", "k.new_empty(k.shape)", "v.new_empty(v.shape)"]
        results = [*shapes, *self._results()[len(shapes) :]]
        names = self._names(["q", "k", "v"])
        of_bias = self._operator_of_bias(schema) if self.biased else []
        return [
            f"def attention_forward_shapes({names}):",
            "    B, T, heads, _ = q.shape",
            "    return q.new_empty(q.shape), q.new_empty((B, heads, T), dtype=torch.float32)",
            "",
            "",
            f"def attention_backward_shapes(d_out, {names.replace('q, k, v', 'q, k, v, out, lse', 1)}):",
            *(["    d_weights = weights.new_empty(weights.shape)"] if self.learned else []),
            *(["    delta = lse.new_empty(lse.shape)"] if self.biased else []),
            f"    return {', '.join(results)}",
            "",
            "",
            "operator(",
            f'    "attention_forward({forward}) -> (Tensor, Tensor)",',
            "    launch_attention_forward,",
            "    attention_forward_shapes,",
            ")",
            "operator(",
            f'    "attention_backward({backward}) -> ({", ".join(["Tensor"] * len(results))})",',
            "    launch_attention_backward,",
            "    attention_backward_shapes,",
            ")",
            *of_bias,
        ]

    def _operator_of_bias(self, schema: list[str]) -> list[str]:
        given = ", ".join(["Tensor d_out, Tensor q, Tensor k, Tensor v, Tensor lse, Tensor delta", *schema])
        return [
            "",
            "",
            f"def attention_backward_bias_shapes({self._names(['d_out', 'q', 'k', 'v', 'lse', 'delta'])}):",
            "    return bias.new_empty(bias.shape)",
            "",
            "",
            "operator(",
            f'    "attention_backward_bias({given}) -> Tensor",',
            "    launch_attention_backward_bias,",
            "    attention_backward_bias_shapes,",
            ")",
        ]

    # --- what a model calls ---

    def function(self) -> list[str]:
        saved = ["q", "k", "v", "out", "lse", *(one.name for one in self._all if one.kind.startswith("Tensor"))]
        numbers = [one.name for one in self._all if not one.kind.startswith("Tensor")]
        taken = [f"ctx.{one.name}" if one.name in numbers else one.name for one in self._all]
        learned = {"weights": "d_weights", "bias": "d_bias"}
        results = ["d_q", "d_k", "d_v", *(learned.get(one.name, "None") for one in self._all)]
        return [
            "class Attention(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, {self._names(['q', 'k', 'v'])}):",
            f"        out, lse = operators.attention_forward({self._names(['q', 'k', 'v'])})",
            f"        ctx.save_for_backward({', '.join(saved)})",
            *(f"        ctx.{name} = {name}" for name in numbers),
            "        return out",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            "    def backward(ctx, d_out):",
            f"        {', '.join(saved)} = ctx.saved_tensors",
            f"        {', '.join(self._results())} = operators.attention_backward("
            f"{', '.join(['d_out', 'q', 'k', 'v', 'out', 'lse', *taken])})",
            *(self._bias_gradient(taken) if self.biased else []),
            f"        return {', '.join(results)}",
        ]

    def _bias_gradient(self, taken: list[str]) -> list[str]:
        place = 3 + [one.name for one in self._all].index("bias")
        given = ", ".join(["d_out", "q", "k", "v", "lse", "delta", *taken])
        return [
            "        d_bias = None",
            f"        if ctx.needs_input_grad[{place}]:",
            f"            d_bias = operators.attention_backward_bias({given})",
        ]

    def entry(self) -> list[str]:
        call = self._names(["q", "k", "v"])
        plain = ", ".join(["q", "k", "v", *(one.name for one in self.given)])
        seed = "    seed = torch.randint(2**62, (1,), device=q.device) if dropout > 0 else None"
        return [
            f"def attention({self._parameters('qkv', self.given)}) -> Tensor:",
            f'    """{_title(self.features)} (Dao 2023), fused where there is a GPU.',
            "",
            *(f"    {line}" for line in self._shapes()),
            '    """',
            "    if torch.is_autocast_enabled(q.device.type):",
            "        dtype = torch.get_autocast_dtype(q.device.type)",
            "        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)",
            "    if not fused(q, torch.float16, torch.bfloat16, torch.float32):",
            f"        return attention_plain({plain})",
            *([seed] if self.features.dropout else []),
            f"    return Attention.apply({call})",
        ]

    def _shapes(self) -> list[str]:
        keys = "T" if self.features.square else "S"
        heads = "heads" if self.features.group == 1 else "kv_heads"
        lines = [f"q [B, T, heads, width], k and v [B, {keys}, {heads}, width] -> [B, T, heads, width]"]
        tensors = ", ".join(f"{one.name} {one.shape}" for one in self.given if one.kind == "Tensor")
        return [*lines, *([tensors] if tensors else [])]


def _tensors(names: Sequence[str]) -> str:
    return ", ".join("Tensor" for _ in names)


def _schema(one: Given) -> str:
    kind = {"Tensor": "Tensor", "Tensor | None": "Tensor?", "int": "SymInt", "float": "float"}[one.kind]
    return f"{kind} {one.name}"


def _title(features: AttentionFeatures) -> str:
    return "Causal attention" if features.causal else "Attention"
