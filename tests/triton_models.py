"""Models of width 16 drawn at random from what kernels take over, alone, side by side and inside one another."""

from __future__ import annotations

import random

WIDTH, VOCAB, LENGTH = 16, 24, 8

FUNCTIONS = {
    "peak": "peak(a) = a * a / (1 + a * a)",
    "squared_relu": "squared_relu(a) = max(a, 0) ^ 2",
    "near": "near(s, q, k, h) = s - 0.1 * abs(q - k)",
    "tilt": "tilt(s, q, k, h, slope) = s + slope * (q - k) * 0.2",
    "cap": "cap(a, limit) = limit * tanh(a / limit)",
}
ACTIVATIONS = (
    *("relu", "gelu", 'gelu(approximate = "tanh")', "silu", "tanh", "sigmoid", "elu", "selu", "softplus", "mish"),
    *("hardswish", "leaky_relu(0.02)", "peak", "squared_relu"),
)


class ModelDrawer:
    """`text` is a spec. Its model takes tokens [B, T], or x [B, T, 16] and where something reads them `real` and
    `documents`."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._named = 0
        self.learns = self._chance(0.4)
        """Whether there is a recipe, whose loss is that of the model's last layer."""
        body = "\n  ".join(self._stage(3) for _ in range(self._draw.randint(1, 4)))
        model, recipe = self._language_model(body) if self.learns else (self._model(body), "")
        used = [text for name, text in FUNCTIONS.items() if name in model]
        self.text = "\n".join(["dlspec 1", *used, model, recipe])

    def _chance(self, p: float) -> bool:
        return self._draw.random() < p

    def _some(self, *options: tuple[float, str]) -> list[str]:
        return [option for p, option in options if self._chance(p)]

    def _called(self, name: str, *given: str) -> str:
        return f"{name}({', '.join(given)})" if given else name

    # --- the whole ---

    def _model(self, body: str) -> str:
        x = f"x: [B, T <= {LENGTH}, {WIDTH}]"
        real, documents = ", real: bool[B, T]" * ("= real" in body), ", documents: int[B, T]" * ("= documents" in body)
        return f"model Net: ({x}{real}{documents}) -> (y: [B, T, {WIDTH}]) {{\n  x -> identity * 1\n  {body}\n}}"

    def _language_model(self, body: str) -> tuple[str, str]:
        x = f"x = tokens -> table: Embedding({VOCAB}, {WIDTH})"
        head = self._called("Linear", str(VOCAB), *self._draw.choice([[], ["bias = false", "weight = table.weight"]]))
        capped = " -> cap(limit = 5)" if self._chance(0.3) else ""
        model = (
            f"model Net: (tokens: int[B, T <= {LENGTH}]) -> (logits: [B, T, {VOCAB}]) {{\n"
            f"  {x}\n  x -> identity * 1\n  {body}\n  head: {head}{capped}\n}}"
        )
        counted = [i % 4 / 2 for i in range(VOCAB)]
        options = self._some(
            *((0.3, "smoothing = 0.1"), (0.3, "ignore = 0"), (0.3, "z_loss = 0.01")),
            *((0.3, f"weight = {counted}"), (0.2, "reduce = sum")),
        )
        loss = self._called("cross_entropy", "logits", "data.targets", *options)
        recipe = (
            f'train Net {{\n  data = tokens("a.bin", window = {LENGTH})\n  loss = {loss}\n'
            f"  optimizer = AdamW(lr = 1e-3)\n  steps = 1\n  batch = 1\n}}\n"
        )
        return model, recipe

    # --- combinators ---

    def _body(self, depth: int, most: int) -> str:
        separator = self._draw.choice([" -> ", "\n  "])
        return separator.join(self._stage(depth) for _ in range(self._draw.randint(1, most)))

    def _stage(self, depth: int) -> str:
        kind = self._draw.random() if depth else 1.0
        if kind < 0.40:
            return self._residual(depth)
        if kind < 0.47:
            return f"repeat({self._draw.randint(1, 3)}) {{ {self._body(depth - 1, 3)} }}"
        if kind < 0.50:
            return f"share(2) {{ {self._body(depth - 1, 2)} }}"
        if kind < 0.54:
            return f"checkpoint {{ {self._body(depth - 1, 3)} }}"
        if kind < 0.60:
            return self._side_by_side()
        return self._layer()

    def _residual(self, depth: int) -> str:
        norms = self._draw.choice([["pre"], ["pre"], ["post"], ["pre", "out"], ["out"], []])
        given = [f"{place} = {self._norm()}" for place in norms]
        given += self._some((0.25, "drop = 0.1"), (0.08, "drop_path = 0.1"), (0.08, "layer_scale = 0.3"))
        weighed = [["scale = 0.5"], ["gain = 0.7"], ["gate = Linear(16) -> sigmoid"]]
        given += self._draw.choice(weighed) if self._chance(0.2) else []
        return f"{self._called('residual', *given)} {{ {self._body(depth - 1, 2)} }}"

    def _side_by_side(self) -> str:
        self._named += 1
        one, other = f"one_{self._named}", f"other_{self._named}"
        sign = self._draw.choice("+*-")
        return f"{{ {self._layer()} as {one}\n  {self._layer()} as {other}\n  {one} {sign} {other} }}"

    # --- layers ---

    def _layer(self) -> str:
        kinds = [self._linear, self._norm, self._activation, self._mlp, self._gated, self._attention]
        return self._draw.choice([*kinds, self._attention, lambda: "Dropout(0.1)", lambda: "identity * 0.5"])()

    def _linear(self, features: int = WIDTH) -> str:
        return self._called("Linear", str(features), *self._some((0.3, "bias = false")))

    def _norm(self) -> str:
        if self._chance(0.5):
            return self._called("LayerNorm", *self._some((0.3, "bias = false"), (0.3, "eps = 1e-3")))
        return self._called("RMSNorm", *self._some((0.3, "offset = 1"), (0.3, "eps = 1e-3")))

    def _activation(self) -> str:
        return self._draw.choice(ACTIVATIONS)

    def _mlp(self) -> str:
        stages = [self._linear(self._draw.choice([16, 24, 32])), self._activation(), *self._some((0.3, "Dropout(0.1)"))]
        return " -> ".join([*stages, self._linear()])

    def _gated(self) -> str:
        hidden = self._draw.choice([16, 24])
        sides = [f"({self._linear(hidden)} -> {self._activation()})", self._linear(hidden)]
        self._draw.shuffle(sides)
        return f"{{ {' * '.join(sides)} }} -> {self._linear()}"

    def _attention(self) -> str:
        heads, across = self._draw.choice([1, 2, 4]), self._chance(0.2)
        given = self._some(
            (0.3, f"head_dim = {self._draw.choice([4, 8])}"), (0.3, "bias = false"), (0.2, "scale = 0.3")
        )
        if heads > 1:
            given += self._some((0.3, f"kv_heads = {heads // 2}"))
        if not across:
            causal = self._some((0.5, "causal = true"))
            given += causal + self._some((0.3, f"window = {self._draw.choice([1, 2, 4])}"), (0.3, "rotary = 100"))
            given += self._some((0.2 if causal else 0, "prefix = 2"))
        score = self._draw.choice(["near", f"tilt(slope = Weight([{heads}]))"])
        given += self._some(
            *((0.2, "alibi = true"), (0.2, "softcap = 2"), (0.2, "dropout = 0.1")),
            *((0.2, f"qk_norm = {self._norm()}"), (0.2, f"score = {score}")),
        )
        if not self.learns:
            given += self._some((0.2, "mask = real"), (0 if across else 0.2, "documents = documents"))
        if across:
            return self._called("CrossAttention", str(heads), "memory = x", *given)
        return self._called("SelfAttention", str(heads), *given)
