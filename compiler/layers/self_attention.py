"""SelfAttention: each position looks at the others of its sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import (
    Number,
    Operation,
    Reference,
    divides,
    equal,
    limit,
    number,
    operation,
    product,
    real,
    spell,
    whole,
    written,
)
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .options import Flag, PositiveOrNone, Probability, Whole, WholeOrNone
from .self_attention_torch import definition

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class SelfAttention(Layer):
    """`SelfAttention(heads)` (Vaswani et al. 2017): [B, T, D] -> [B, T, D].

    Each head is softmax(q k^T * head_dim ^ -0.5) v. `kv_heads` below `heads` shares keys and values between heads
    (Ainslie et al. 2023); `causal` hides what comes later; `rotary = base` turns queries and keys by their position
    (Su et al. 2021), halves, not neighbours; `dropout` acts on the probabilities. The matrices are `q`, `k`, `v`, `o`.
    """

    word: ClassVar[str] = "SelfAttention"
    example: ClassVar[str] = "SelfAttention(4, causal = true)"
    later: ClassVar[frozenset[str]] = frozenset(
        {"window", "prefix", "documents", "alibi", "softcap", "scale", "score", "qk_norm", "mask"}
    )

    heads: Whole
    kv_heads: WholeOrNone = None
    head_dim: WholeOrNone = None
    causal: Flag = False
    rotary: PositiveOrNone = None
    dropout: Probability = 0
    bias: Flag = True

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank != 3 or x.dtype != "float":
            raise ShapeFault(
                f"SelfAttention takes [B, T, D], and {x} comes in", "a sequence of vectors, one axis for each"
            )
        dim = x.dims[-1]
        if dim.value is None:
            raise ShapeFault(
                "SelfAttention needs a last axis of known width", "its matrices are made when the model is built"
            )
        if self.head_dim is None and not divides(self.heads, dim):
            raise ShapeFault(
                f"{_shown(dim)} does not divide into {_shown(self.heads)} heads",
                "make the width a multiple of `heads`, or give `head_dim`",
                "heads",
            )
        if self.kv_heads is not None and not divides(self.kv_heads, self.heads):
            raise ShapeFault(
                f"{_shown(self.heads)} heads do not share {_shown(self.kv_heads)} key and value heads evenly",
                "`heads` must be a multiple of `kv_heads`",
                "kv_heads",
            )
        if self.rotary is not None:
            self._check_rotary(x)
        return (x,)

    def _check_rotary(self, x: Tensor) -> None:
        if not divides(number(2), self.width_of_head(x)):
            raise ShapeFault(
                f"rotary turns the two halves of a head, and a head is {_shown(self.width_of_head(x))} wide",
                "make the head an even number wide",
                "rotary",
            )
        if limit(x.dims[1]) is None:
            raise ShapeFault(
                f"rotary keeps a table of angles, and {written(x.dims[1])} may be any length",
                f"write the longest length in the input of the model, such as `{written(x.dims[1])} <= 2048`",
                "rotary",
            )

    def width_of_head(self, x: Tensor) -> Number:
        return self.head_dim if self.head_dim is not None else operation("/", x.dims[-1], self.heads)

    def key_heads(self) -> Number:
        return self.heads if self.kv_heads is None else self.kv_heads

    def query_width(self, x: Tensor) -> Number:
        """The width of all query heads together: as wide as the input unless `head_dim` says otherwise."""
        return x.dims[-1] if self.head_dim is None else product([self.heads, self.head_dim])

    def key_width(self, x: Tensor) -> Number:
        if equal(self.key_heads(), self.heads):
            return self.query_width(x)
        return Operation("*", (self.key_heads(), self.width_of_head(x)))

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        dim, query, key = x.dims[-1], self.query_width(x), self.key_width(x)
        shapes = {"q": (query, dim), "k": (key, dim), "v": (key, dim), "o": (dim, query)}
        found: dict[str, Parameter] = {}
        for name, dims in shapes.items():
            found[f"{name}.weight"] = Parameter(dims)
            if self.bias:
                found[f"{name}.bias"] = Parameter(dims[:1])
        return found

    def flops(self, x: Tensor) -> Number | None:
        batch, length, dim = x.dims
        matrices = product([number(4), batch, length, dim, Operation("+", (self.query_width(x), self.key_width(x)))])
        # Scores and their sum over values; a causal mask halves what is needed, not what is counted.
        pairs = product([number(4), batch, length, length, self.query_width(x)])
        return Operation("+", (matrices, pairs))

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        name = code.library("SelfAttention", definition(self, code))
        arguments = [code.number(x.dims[-1]), code.number(self.heads)]
        if self.grouped:
            arguments.append(f"kv_heads={code.number(self.key_heads())}")
        if self.head_dim is not None:
            arguments.append(f"head_dim={code.number(self.head_dim)}")
        if self.rotary is not None:
            arguments += [f"length={_length(x, code)}", f"base={code.number(self.rotary)}"]
        if self.drops(code):
            arguments.append(f"dropout={code.number(self.dropout)}")
        return f"{name}({', '.join(arguments)})"

    @property
    def grouped(self) -> bool:
        """Whether queries share key and value heads."""
        return not equal(self.key_heads(), self.heads)

    def drops(self, code: Code) -> bool:
        return self.dropout.value != 0 and not code.exporting

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.init_weights(generator)"]

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        heads, key_heads = whole(self.heads), whole(self.key_heads())
        query_type, key_type = x_type.with_last(self.query_width(x_type)), x_type.with_last(self.key_width(x_type))

        def matrix(label: str, value: OnnxValue, value_type: Tensor, width: Number) -> OnnxValue:
            return g.linear(value, value_type, width, f"{name}.{label}", f"{module}.{label}", bias=self.bias)

        q = matrix("q", x, x_type, query_type.dims[-1])
        k = matrix("k", x, x_type, key_type.dims[-1])
        v = matrix("v", x, x_type, key_type.dims[-1])
        if self.rotary is not None:
            half = whole(self.width_of_head(x_type)) // 2
            cos, sin = g.rotary_tables(_longest(x_type), half, real(self.rotary))
            turn = [cos, sin, g.positions(x, x_type)]
            q = g.op("RotaryEmbedding", [q, *turn], query_type, f"{name}.q.rotary", num_heads=heads)
            k = g.op("RotaryEmbedding", [k, *turn], key_type, f"{name}.k.rotary", num_heads=key_heads)
        options = {"q_num_heads": heads, "kv_num_heads": key_heads, "is_causal": int(self.causal)}
        y = g.op("Attention", [q, k, v], query_type, f"{name}.attention", **options)
        return (matrix("o", y, query_type, x_type.dims[-1]),)


def _shown(n: Number) -> str:
    """A number as written, with its value where that is not plain: `dim (768)`."""
    text = written(n)
    return text if n.value is None or text == spell(n.value) else f"{text} ({spell(n.value)})"


def _length(x: Tensor, code: Code) -> str:
    """The longest sequence, in the words of the model's input where they say it."""
    dim = x.dims[1]
    while isinstance(dim, Reference) and dim.value is None and dim.target is not None:
        dim = dim.target
    if isinstance(dim, Reference) and dim.value is None and dim.most is not None:
        return code.number(dim.most)
    return code.number(dim if dim.value is not None else number(_longest(x)))


def _longest(x: Tensor) -> int:
    longest = limit(x.dims[1])
    assert longest is not None
    return int(longest)
