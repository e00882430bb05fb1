"""The PyTorch class of an attention, written out for the options that were chosen and nothing else.

PyTorch's own attention takes one mask, true where a key may be seen or added to the scores, or none; what it cannot
say (`softcap`, a function of the scores) is written out in matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Number, equal, is_whole, real, spelled
from ..semantics.tensor import Tensor
from . import held
from .alibi import SLOPES
from .base import Code
from .rotary_torch import ROTARY, rotary_by_kernels
from .score import ScoreFunction, own_name
from .side import Side

if TYPE_CHECKING:
    from .attention import Attention


def definition(layer: Attention, x: Tensor, code: Code) -> str:
    """The class as source text. Its arguments are the numbers that the options left open, in a fixed order."""
    return "\n".join(_ClassText(layer, x, code).lines()) + "\n"


class _ClassText:
    """One class while it is written. `projects`: whether queries, keys and values go through matrices."""

    def __init__(self, layer: Attention, x: Tensor, code: Code) -> None:
        self.layer, self.x, self.code = layer, x, code
        self.projects = "bias" in layer.options
        self.square, self.drops = layer.square(x), layer.drops(code)
        self.function = layer.score if isinstance(layer.score, ScoreFunction) else None
        self.written_out = layer.softcap is not None or self.function is not None
        self.name = f"{layer.word[0].upper()}{layer.word[1:]}"
        self.fused = code.fused(layer, x)
        self.rotary = ""
        if layer.rotary is not None:
            turned = None if self.fused is None else code.fused(layer, x, "rotary")
            self.rotary = code.library("Rotary", ROTARY if turned is None else rotary_by_kernels(turned))
        self.slopes = code.library("alibi_slopes", SLOPES) if layer.alibi else ""
        # Norms of queries and keys would copy what lies in rows with others.
        self.linears = code.fused(layer, x, "linears") if self.projects and layer.qk_norm is None else None
        own = code.fused(layer, x, "linear") if self.projects and layer.bias else None
        self.linear = own or "nn.Linear"

    def lines(self) -> list[str]:
        found = [
            f"class {self.name}(nn.Module):",
            f'    """{self._title()}: {self._shapes()}"""',
            "",
            f"    def __init__({', '.join(['self', *self._arguments()])}) -> None:",
            *(f"        {line}" for line in self._init()),
            "",
            f"    def forward({', '.join(['self', *(f'{name}: Tensor' for name in self._inputs())])}) -> Tensor:",
            *(f"        {line}" for line in self._forward()),
        ]
        fill = self._fill()
        if fill:
            found += ["", "    def init_weights(self, generator: torch.Generator | None) -> None:"]
            found += [f"        {line}" for line in fill]
        return found

    # --- what it is called and takes ---

    def _title(self) -> str:
        title = f"causal {self.layer.title}" if self.layer.causal else self.layer.title
        return f"{title[0].upper()}{title[1:]} (Vaswani et al. 2017)"

    def _shapes(self) -> str:
        if not self.projects:
            return "[B, T, ...], keys and values [B, S, ...] -> [B, T, heads * width of a value]"
        memory = f", [B, S, {'memory_dim' if self._other_memory() else 'dim'}]" if self.layer.sequences else ""
        return f"[B, T, dim]{memory} -> [B, T, dim]"

    def _other_memory(self) -> bool:
        """Whether keys and values are made of what is not as wide as what flows."""
        return self.projects and not equal(self.x.dims[-1], self.layer.keys_from(self.x).dims[-1])

    def _inputs(self) -> list[str]:
        if not self.projects:
            sequences = ["q", "k", "v"]
        else:
            sequences = ["x", *(["memory"] if self.layer.sequences else [])]
        return [*sequences, *(name for name, _ in self.layer.given())]

    def _arguments(self) -> list[str]:
        layer = self.layer
        chosen = {
            "dim: int": self.projects,
            "heads: int": True,
            "memory_dim: int": self._other_memory(),
            "kv_heads: int": layer.grouped,
            "head_dim: int": layer.head_dim is not None or (not self.projects and bool(self.rotary)),
            "length: int": bool(self.rotary),
            "base: float": bool(self.rotary),
            "q_norm: nn.Module": layer.qk_norm is not None,
            "k_norm: nn.Module": layer.qk_norm is not None,
            **{f"{name}: {kind}": True for name, kind in self._kept_numbers().items()},
            "dropout: float": self.drops,
        }
        return [*(argument for argument, there in chosen.items() if there), *held.taken(self.code.held)]

    def _kept_numbers(self) -> dict[str, str]:
        """The numbers that `forward` reads, with their types."""
        layer = self.layer
        found: dict[str, str] = {}
        if layer.scale is not None:
            found["scale"] = "float"
        if layer.softcap is not None:
            found["softcap"] = "float"
        if layer.window is not None:
            found["window"] = "int"
        if layer.prefix is not None and not isinstance(layer.prefix, Side):
            found["prefix"] = "int"
        if self.function is not None and self.fused is None:  # kernels have the function's numbers in their text
            for reference, name in self.function.names().items():
                found[name] = "int" if is_whole(reference) else "float"
        return found

    # --- __init__ ---

    def _init(self) -> list[str]:
        layer = self.layer
        wide = layer.head_dim is not None
        kept = ["heads", *(["kv_heads"] if layer.grouped else []), *self._kept_numbers()]
        lines = ["super().__init__()", *(f"self.{name} = {name}" for name in kept)]
        if self.drops:
            lines.append("self.dropout = dropout")
        if self.projects:
            bias = "" if layer.bias else ", bias=False"
            query = "heads * head_dim" if wide else "dim"
            key = "kv_heads * head_dim" if layer.grouped else query
            memory = "memory_dim" if self._other_memory() else "dim"
            if layer.grouped and not wide:
                lines.append("head_dim = dim // heads")
            # What goes into one product is called by it.
            of_x = self.linear if self.linears is None or self.layer.sequences else "nn.Linear"
            of_memory = self.linear if self.linears is None else "nn.Linear"
            lines += [
                f"self.q = {of_x}(dim, {query}{bias})",
                f"self.k = {of_memory}({memory}, {key}{bias})",
                f"self.v = {of_memory}({memory}, {key}{bias})",
                f"self.o = {self.linear}({query}, dim{bias})",
            ]
        if layer.qk_norm is not None:
            lines += ["self.q_norm = q_norm", "self.k_norm = k_norm"]
        if self.rotary:
            known = wide or layer.grouped or not self.projects
            lines.append(f"self.rotary = {self.rotary}(length, {'head_dim' if known else 'dim // heads'}, base)")
        lines += [f"self.{name} = nn.Parameter(torch.empty(heads))" for name in layer.score_weights()]
        return [*lines, *held.kept(self.code.held)]

    # --- forward ---

    def _forward(self) -> list[str]:
        if self.fused is not None:
            return self._by_kernels(self.fused)
        layer = self.layer
        heads_of_keys = "self.kv_heads" if layer.grouped else "self.heads"
        split = "unflatten(-1, ({}, -1)).transpose(1, 2)"
        lines, (q, k, v) = self._projected()
        lines += [
            f"# {self._shapes_of_heads()}",
            f"q = {q}.{split.format('self.heads')}",
            f"k = {k}.{split.format(heads_of_keys)}",
            f"v = {v}.{split.format(heads_of_keys)}",
        ]
        if layer.qk_norm is not None:
            lines.append("q, k = self.q_norm(q), self.k_norm(k)")
        if self.rotary:
            lines.append("q, k = self.rotary(q), self.rotary(k)")
        plain = layer.plainly_causal(self.x) and not self.written_out
        seen = [] if plain else self._seen()
        lines += self._positions(seen)
        lines += [f"seen = {_bare(part)}" if i == 0 else f"seen = seen & {part}" for i, part in enumerate(seen)]
        lines += self._matrices(bool(seen)) if self.written_out else self._attend(bool(seen), causal=plain)
        y = "y.transpose(1, 2).flatten(2)"
        return [*lines, f"return self.o({y})" if self.projects else f"return {y}"]

    def _by_kernels(self, attention: str) -> list[str]:
        """Heads stay where the matrices leave them: [B, T, heads, head_dim]."""
        layer = self.layer
        lines, (q, k, v) = self._projected()
        key_heads = "self.kv_heads" if layer.grouped else "self.heads"
        lines += [
            f"# {self._shapes_of_heads().replace('heads, T, head_dim', 'T, heads, head_dim')}",
            f"q = {q}.unflatten(-1, (self.heads, -1))",
            f"k = {k}.unflatten(-1, ({key_heads}, -1))",
            f"v = {v}.unflatten(-1, ({key_heads}, -1))",
        ]
        if layer.qk_norm is not None:
            lines.append("q, k = self.q_norm(q), self.k_norm(k)")
        if self.rotary:
            lines.append("q, k = self.rotary(q, k)")
        taken = (layer.prefix, layer.documents, layer.score, layer.mask)
        options = [name for name, side in layer.given() if side in taken]
        if layer.prefix is not None and not isinstance(layer.prefix, Side):
            options.insert(0, "self.prefix")
        if self.slopes:
            lines.append(f"slopes = {self.slopes}(self.heads, q.device).flatten()")
            options.append("slopes")
        if self.function is not None and self.function.by_head:
            names = {one: own_name(one) for one in self.function.by_head}
            names |= {one: f"self.{names[one]}" for one in self.function.weights}
            lines.append(f"weights = torch.stack([{', '.join(names.values())}])")
            options.append("weights")
        numbers = {"window": layer.window, "softcap": layer.softcap, "scale": layer.scale}
        options += [f"self.{name}" for name, value in numbers.items() if value is not None]
        if self.drops:
            lines.append("dropout = self.dropout if self.training else 0.0")
            options.append("dropout")
        lines.append(f"y = {attention}({', '.join(['q', 'k', 'v', *options])})")
        return [*lines, "return self.o(y.flatten(2))" if self.projects else "return y.flatten(2)"]

    def _projected(self) -> tuple[list[str], tuple[str, str, str]]:
        """Lines, and then what queries, keys and values are before they are split into heads."""
        if not self.projects:
            return [], ("q", "k", "v")
        source = "memory" if self.layer.sequences else "x"
        if self.linears is None:
            return [], ("self.q(x)", f"self.k({source})", f"self.v({source})")
        names = "kv" if self.layer.sequences else "qkv"
        made = [f"{', '.join(names)} = {self.linears}({', '.join([source, *(f'self.{name}' for name in names)])})"]
        if self.rotary:
            # Values would keep the memory of what they lie beside.
            alone = "q and k, which are" if "q" in names else "k, which is"
            made += [f"# Apart from {alone} let go when turned.", "v = v.contiguous()"]
        return made, ("q" if "q" in names else "self.q(x)", "k", "v")

    def _shapes_of_heads(self) -> str:
        grouped, other = self.layer.grouped, bool(self.layer.sequences)
        if not grouped and not other:
            return "Each is [B, heads, T, head_dim]."
        keys = "keys and values have kv_heads of them" if grouped else "keys and values are as long as theirs"
        return f"Queries are [B, heads, T, head_dim]; {keys}."

    def _positions(self, seen: list[str]) -> list[str]:
        """Where queries and keys stand, as far as something reads it."""
        text = " ".join([*seen, *self._biases()])
        names = self._read_by_function()
        kind = ", dtype=torch.float32" if names & {"q", "k"} else ""
        apart = "distance" in text or "q" in names
        lines: list[str] = []
        if "distance" in text or "key" in text or "k" in names or (apart and self.square):
            lines.append(f"key = torch.arange(k.shape[2]{kind}, device=k.device)")
        if apart and self.square:
            lines.append("query = key[:, None]")
        elif apart:
            moved = " + k.shape[2] - q.shape[2]" if self.layer.causal else ""
            lines.append(f"query = torch.arange(q.shape[2]{kind}, device=q.device)[:, None]{moved}")
        if "distance" in text:
            lines.append(f"distance = query - key  # [T, {'T' if self.square else 'S'}]")
        if "h" in names:
            lines.append("head = torch.arange(self.heads, dtype=torch.float32, device=q.device)")
            lines.append("head = head[:, None, None]")
        return lines

    def _read_by_function(self) -> frozenset[str]:
        """Which of s, q, k, h and of its own arguments the score's function reads."""
        if self.function is None:
            return frozenset()
        from ..scalars import variables  # most attentions have no such score

        return variables(self.function.expression)

    def _seen(self) -> list[str]:
        """What a key must be to be seen, each an expression that spreads over [B, heads, T, S]."""
        layer = self.layer
        found: list[str] = []
        if layer.causal:
            later = "(distance >= 0)"
            if isinstance(layer.prefix, Side):
                later = "((distance >= 0) | (key < prefix[:, None, None, None]))"
            elif layer.prefix is not None:
                later = "((distance >= 0) | (key < self.prefix))"
            found.append(later)
        if layer.window is not None:
            one_sided = layer.causal and layer.prefix is None
            found.append(f"({'distance' if one_sided else 'distance.abs()'} < self.window)")
        if layer.documents is not None:
            found.append("(documents[:, None, :, None] == documents[:, None, None, :])")
        if layer.mask is not None:
            found.append("mask[:, None]" if layer.mask.type.rank == 3 else "mask[:, None, None]")
        return found

    def _biases(self) -> list[str]:
        """What is added to the scores."""
        found: list[str] = []
        if isinstance(self.layer.score, Side):
            found.append("score")
        if self.layer.alibi:
            found.append(f"-{self.slopes}(self.heads, q.device) * distance.abs()")
        return found

    def _attend(self, seen: bool, *, causal: bool) -> list[str]:
        """By PyTorch's own attention."""
        layer = self.layer
        options, lines, biases = ["q", "k", "v"], list[str](), self._biases()
        if biases:
            bias = biases[0] if len(biases) == 1 else f"{biases[0]} - {biases[1][1:]}"
            if seen:
                whole = bias if bias.isidentifier() else f"({bias})"
                bias = f'{whole}.masked_fill(~seen, float("-inf"))'
            if not bias.isidentifier():
                lines.append(f"bias = {bias}")
                bias = "bias"
            if not layer.learns_biases and not layer.differs_by_example:
                # A CPU's kernel without the scores in memory takes masks of rank 2 or 4.
                bias = f"{bias}[None]"
            options.append(f"attn_mask={bias}.type_as(q)")
        elif seen:
            options.append("attn_mask=seen")
        if self.drops:
            lines.append("dropout = self.dropout if self.training else 0.0")
            options.append("dropout_p=dropout")
        if causal:
            options.append("is_causal=True")
        if layer.scale is not None:
            options.append("scale=self.scale")
        if layer.grouped:
            options.append("enable_gqa=True")
        return [*lines, f"y = F.scaled_dot_product_attention({', '.join(options)})"]

    def _matrices(self, seen: bool) -> list[str]:
        """Step by step."""
        layer = self.layer
        lines: list[str] = []
        if layer.grouped:
            lines.append("group = self.heads // self.kv_heads")
            lines.append("k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)")
        scale = "q.shape[-1] ** -0.5" if layer.scale is None else "self.scale"
        lines.append(f"scores = (q * {scale}) @ k.transpose(2, 3)  # [B, heads, T, S]")
        if layer.softcap is not None:
            lines.append("scores = self.softcap * torch.tanh(scores / self.softcap)")
        if self.function is not None:
            lines += self._by_function(self.function)
        lines += [
            f"scores = scores - {bias[1:]}" if bias.startswith("-") else f"scores = scores + {bias}"
            for bias in self._biases()
        ]
        weights = "scores.softmax(-1)"
        if seen:
            lines.append('scores = scores.masked_fill(~seen, float("-inf"))')
            if layer.may_be_blind(self.x):
                # A softmax over nothing is NaN.
                weights += ".masked_fill(~seen, 0.0)"
        if self.drops:
            weights = f"F.dropout({weights}, self.dropout, self.training)"
        # What was added may have been of another dtype.
        cast = ".type_as(v)" if self._biases() or self.function is not None else ""
        return [*lines, f"y = {weights}{cast} @ v"]

    def _by_function(self, score: ScoreFunction) -> list[str]:
        names = {"s": "scores", "q": "query", "k": "key", "h": "head"}
        names |= {name: own_name(name) for name in score.by_head}
        held = {name: f"self.{names[name]}" if name in score.weights else names[name] for name in score.by_head}
        lines = [f"{names[name]} = {value}[:, None, None]" for name, value in held.items()]
        attributes = score.names()

        def number(n: Number) -> str:
            return spelled(n, lambda reference: f"self.{attributes[reference]}", python=True)

        from ..scalars.print_torch import print_torch

        value = print_torch(score.expression, names.keys(), number=number, name=names.__getitem__)
        return [*lines, f"scores = {value}"]

    # --- initial weights ---

    def _fill(self) -> list[str]:
        lines = [f"{self.code.init_linear()}(self.{name}, generator)" for name in "qkvo"] if self.projects else []
        if self.layer.qk_norm is not None:
            lines += ["self.q_norm.reset_parameters()", "self.k_norm.reset_parameters()"]
        if self.rotary:
            lines.append("self.rotary.fill()")
        for name, weight in self.layer.score_weights().items():
            std = weight.init.std  # as a plain number: a class of the library knows no constants of the file
            lines.append(weight.init.line(f"self.{name}", "" if std is None else repr(real(std))))
        return lines


def _bare(part: str) -> str:
    """A part of what is seen where it stands alone: without the parentheses around it, a mask with its shape."""
    if part.startswith("("):
        return part[1:-1]
    return f"{part}  # {'[B, 1, 1, S]' if part.count('None') == 2 else '[B, 1, T, S]'}"
