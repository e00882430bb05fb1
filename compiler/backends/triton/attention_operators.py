"""The text of the operators of an attention, of its derivative, and of the function that a model calls."""

from __future__ import annotations

from .attention_features import AttentionFeatures
from .attention_given import AttentionNames, Given


class AttentionOperators(AttentionNames):
    def operators(self) -> list[str]:
        schema = [_schema(one) for one in self.all]
        forward = ", ".join(["Tensor q, Tensor k, Tensor v", *schema])
        backward = ", ".join(["Tensor d_out, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse", *schema])
        shapes = ["q.new_empty(q.shape)", "k.new_empty(k.shape)", "v.new_empty(v.shape)"]
        joined = ["    B, T, heads, width = q.shape", "    size = (B, T, heads + 2 * k.shape[2], width)"]
        if self.features.joined:
            shapes = ["q.new_empty(size)"]
        results = [*shapes, *self.results()[len(shapes) :]]
        names = self.names(["q", "k", "v"])
        of_bias = self._operator_of_bias(schema) if self.biased else []
        return [
            f"def attention_forward_shapes({names}):",
            "    B, T, heads, _ = q.shape",
            f"    return q.new_empty({self.out}), q.new_empty((B, heads, T), dtype=torch.float32)",
            "",
            "",
            f"def attention_backward_shapes(d_out, {names.replace('q, k, v', 'q, k, v, out, lse', 1)}):",
            *(joined if self.features.joined else []),
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
            f'    "attention_backward({backward}) -> {_returned(len(results))}",',
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
            f"def attention_backward_bias_shapes({self.names(['d_out', 'q', 'k', 'v', 'lse', 'delta'])}):",
            "    return bias.new_empty(bias.shape)",
            "",
            "",
            "operator(",
            f'    "attention_backward_bias({given}) -> Tensor",',
            "    launch_attention_backward_bias,",
            "    attention_backward_bias_shapes,",
            ")",
        ]

    def function(self) -> list[str]:
        saved = ["q", "k", "v", "out", "lse", *(one.name for one in self.all if one.kind.startswith("Tensor"))]
        numbers = [one.name for one in self.all if not one.kind.startswith("Tensor")]
        taken = [f"ctx.{one.name}" if one.name in numbers else one.name for one in self.all]
        learned = {"weights": "d_weights", "bias": "d_bias"}
        results = ["d_q", "d_k", "d_v", *(learned.get(one.name, "None") for one in self.all)]
        return [
            "class Attention(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, {self.names(['q', 'k', 'v'])}):",
            f"        out, lse = operators.attention_forward({self.names(['q', 'k', 'v'])})",
            f"        ctx.save_for_backward({', '.join(saved)})",
            *(f"        ctx.{name} = {name}" for name in numbers),
            "        return out",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            "    def backward(ctx, d_out):",
            f"        {', '.join(saved)} = ctx.saved_tensors",
            f"        {', '.join(self.results())} = operators.attention_backward("
            f"{', '.join(['d_out', 'q', 'k', 'v', 'out', 'lse', *taken])})",
            *(self._parts() if self.features.joined else []),
            *(self._bias_gradient(taken) if self.biased else []),
            f"        return {', '.join(results)}",
        ]

    def _parts(self) -> list[str]:
        return [
            "        # Parts of one tensor, which the product behind q, k and v takes whole.",
            "        d_q, d_k, d_v = d_qkv.split([q.shape[2], k.shape[2], v.shape[2]], 2)",
        ]

    def _bias_gradient(self, taken: list[str]) -> list[str]:
        place = 3 + [one.name for one in self.all].index("bias")
        given = ", ".join(["d_out", "q", "k", "v", "lse", "delta", *taken])
        return [
            "        d_bias = None",
            f"        if ctx.needs_input_grad[{place}]:",
            f"            d_bias = operators.attention_backward_bias({given})",
        ]

    def entry(self) -> list[str]:
        call = self.names(["q", "k", "v"])
        plain = ", ".join(["q", "k", "v", *(one.name for one in self.given)])
        seed = "    seed = torch.randint(2**62, (1,), device=q.device) if dropout > 0 else None"
        title = _title(self.features)
        return [
            f"def attention({self.parameters('qkv', self.given)}) -> Tensor:",
            f'    """{title} (Dao 2023), fused where there is a GPU and heads are {self.features.width} wide.',
            "",
            *(f"    {line}" for line in self._shapes()),
            '    """',
            f"    fits = {self._sizes()}",
            f"    if not (fits and fused(q){'' if self.features.square else ' and k.shape[1] > 0'}):",
            f"        return attention_plain({plain})",
            "    if torch.is_autocast_enabled(q.device.type):",
            "        dtype = torch.get_autocast_dtype(q.device.type)",
            "        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)",
            *self._broadcast(),
            *([seed] if self.features.dropout else []),
            f"    return Attention.apply({call})",
        ]

    def _sizes(self) -> str:
        """Those of q, k and v that are fixed in the kernels. A mask of numbers is something to add for PyTorch."""
        features = self.features
        widths = f"q.shape[3] == k.shape[3] == v.shape[3] == {features.width}"
        if features.value_width is not None:
            widths = f"q.shape[3] == k.shape[3] == {features.width} and v.shape[3] == {features.value_width}"
        group = "" if features.group == 1 else f"{features.group} * "
        lengths = " and q.shape[1] == k.shape[1]" if features.square else ""
        mask = "" if features.mask == "none" else " and mask.dtype == torch.bool"
        return f"{widths} and q.shape[2] == {group}k.shape[2]{lengths}{mask}"

    def _broadcast(self) -> list[str]:
        """What kernels read has the sizes that they read it in: what PyTorch would broadcast is, or refused."""
        table = "q.shape[2], q.shape[1], k.shape[1]"
        wholes = {
            "prefix": "q.shape[0]",
            "documents": "q.shape[:2]",
            "bias": table if self.features.bias == "one" else f"q.shape[0], {table}",
            "mask": f"q.shape[0], {'' if self.features.mask == 'keys' else 'q.shape[1], '}k.shape[1]",
        }
        tensors = [one.name for one in self.given if one.kind == "Tensor" and one.name in wholes]
        return [
            "    if v.shape[:3] != k.shape[:3]:",
            '        raise ValueError(f"v is {list(v.shape)}, which does not go with k, {list(k.shape)}")',
            "    if len(k) != len(q):",
            "        k, v = (one.expand(len(q), -1, -1, -1) for one in (k, v))",
            *(f"    {name} = {name}.expand({wholes[name]})" for name in tensors),
        ]

    def _shapes(self) -> list[str]:
        keys = "T" if self.features.square else "S"
        heads = "heads" if self.features.group == 1 else "kv_heads"
        lines = [f"q [B, T, heads, width], k and v [B, {keys}, {heads}, width] -> [B, T, heads, width]"]
        if self.features.value_width is not None:
            lines = [
                f"q [B, T, heads, width], k [B, {keys}, {heads}, width], v [B, {keys}, {heads}, value_width]",
                "-> [B, T, heads, value_width]",
            ]
        tensors = ", ".join(f"{one.name} {one.shape}" for one in self.given if one.kind == "Tensor")
        return [*lines, *([tensors] if tensors else [])]


def _schema(one: Given) -> str:
    kind = {"Tensor": "Tensor", "Tensor | None": "Tensor?", "int": "SymInt", "float": "float"}[one.kind]
    return f"{kind} {one.name}"


def _returned(count: int) -> str:
    return "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"


def _title(features: AttentionFeatures) -> str:
    return "Causal attention" if features.causal else "Attention"
