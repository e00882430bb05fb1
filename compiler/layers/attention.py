"""What SelfAttention, CrossAttention and attend share: options, what they may be, and what has to be masked."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..semantics.arithmetic import spell
from ..semantics.bounds import limit
from ..semantics.number import Number, Operation, Reference, divides, equal, number, operation, product, written
from ..semantics.tensor import Tensor, same
from . import held
from .base import NOTHING, Code, Layer, Parameter, ShapeFault
from .kept import Device, Kept, Part
from .options import (
    DropRate,
    Flag,
    NormOrNone,
    NumberOrSideOrNone,
    PositiveOrNone,
    ScoreOrNone,
    SideInputOrNone,
    Whole,
    WholeOrNone,
)
from .score import NAMES, ScoreFunction, own_name
from .side import Side

if TYPE_CHECKING:
    from .weight import Weight


class Attention(Layer):
    """softmax(q k^T) v on each head: scale, softcap, score, alibi, mask, softmax, dropout, in this order.

    T is the length of the queries, S that of the keys. A query that may see no key gives zeros.
    """

    title: ClassVar[str]
    """What it is called in the docstring of the emitted class."""
    holds_modules: ClassVar[bool] = True
    taken: ClassVar[frozenset[str]] = NAMES

    heads: Whole
    kv_heads: WholeOrNone = None
    head_dim: WholeOrNone = None
    causal: Flag = False
    window: WholeOrNone = None
    prefix: NumberOrSideOrNone = None
    documents: SideInputOrNone = None
    rotary: PositiveOrNone = None
    alibi: Flag = False
    softcap: PositiveOrNone = None
    scale: PositiveOrNone = None
    score: ScoreOrNone = None
    qk_norm: NormOrNone = None
    mask: SideInputOrNone = None
    dropout: DropRate = 0
    bias: Flag = True

    # --- what a subclass says ---

    @abstractmethod
    def keys_from(self, x: Tensor) -> Tensor:
        """The type of what the keys are made of, [B, S, ...]."""

    @abstractmethod
    def width_of_head(self, x: Tensor) -> Number:
        """How wide a query and a key of one head are."""

    def width_of_value(self, x: Tensor) -> Number:
        """How wide a value of one head is."""
        return self.width_of_head(x)

    @property
    def sees_ahead(self) -> bool:
        return not self.causal

    @property
    def sequences(self) -> tuple[Side, ...]:
        """The side inputs that keys and values are made of."""
        return ()

    # --- meaning ---

    def check_options(self, x: Tensor) -> None:
        """Raises ShapeFault where an option does not fit the lengths, the width of a head or another option."""
        if self.kv_heads is not None and not divides(self.kv_heads, self.heads):
            raise ShapeFault(
                f"{shown(self.heads)} heads do not share {shown(self.kv_heads)} key and value heads evenly",
                "`heads` must be a multiple of `kv_heads`",
                "kv_heads",
            )
        if self.rotary is not None:
            self._check_rotary(x)
        if self.qk_norm is not None:
            self.qk_norm.infer(self.head_type(x))
        if self.prefix is not None and not self.causal:
            raise ShapeFault(
                "`prefix` shows keys that a causal mask would hide, and this attention is not causal",
                "write `causal = true` too, or leave `prefix` out",
                "prefix",
            )
        self._check_sides(x)

    def _check_rotary(self, x: Tensor) -> None:
        if not divides(number(2), self.width_of_head(x)):
            raise ShapeFault(
                f"rotary turns the two halves of a head, and a head is {shown(self.width_of_head(x))} wide",
                "make the head an even number wide",
                "rotary",
            )
        for length in (x.dims[1], self.keys_from(x).dims[1]):
            if limit(length) is None:
                raise ShapeFault(
                    f"rotary keeps a table of angles, and {written(length)} may be any length",
                    f"write the longest length in the input of the model, such as `{written(length)} <= 2048`",
                    "rotary",
                )

    def _check_sides(self, x: Tensor) -> None:
        batch, queries = x.dims[:2]
        keys = self.keys_from(x).dims[1]
        lengths = f"[{written(batch)}, {written(queries)}, {written(keys)}]"
        if self.mask is not None:
            fitting = (Tensor("bool", (batch, keys)), Tensor("bool", (batch, queries, keys)))
            _check_side(
                "mask",
                self.mask,
                fitting,
                f"true where a key may be seen: {' or '.join(map(str, dict.fromkeys(fitting)))}",
                "compare what tells them apart, such as `tokens != pad`",
            )
        if isinstance(self.prefix, Side):
            only = Tensor("int", (batch,))
            _check_side("prefix", self.prefix, (only,), f"a length for each example: {only}", "give one number a row")
        if self.documents is not None:
            if not equal(queries, keys):
                raise ShapeFault(
                    f"`documents` numbers queries and keys alike, and there are {written(queries)} queries and "
                    f"{written(keys)} keys",
                    "give a `mask` that says which key each query may see",
                    "documents",
                )
            only = Tensor("int", (batch, keys))
            _check_side(
                "documents", self.documents, (only,), f"the document of each entry: {only}", "give whole numbers"
            )
        if isinstance(self.score, ScoreFunction):
            only = Tensor("float", (self.heads,))
            types = {name: side.type for name, side in self.score.sides.items()}
            types |= {name: weight.infer(NOTHING)[0] for name, weight in self.score.weights.items()}
            for name, type_ in types.items():
                if not same(type_, only):
                    raise ShapeFault(
                        f"`{name}` of `{self.score.function.name}` takes a number, or one for each head: {only}; this "
                        f"is {type_}",
                        f"write `{name} = Weight([{written(self.heads)}])` for a learned one",
                        "score",
                    )
        elif self.score is not None:
            table = Tensor("float", (self.heads, queries, keys))
            _check_side(
                "score",
                self.score,
                (table, Tensor("float", (batch, *table.dims))),
                f"what is added to the scores of each head: {table}, or one such table for each example",
                f"the heads, queries and keys here are {shown(self.heads)} and {lengths}",
            )

    def score_weights(self) -> dict[str, Weight]:
        """The weights that the score's function was given, by their names in the class."""
        of_score = self.score.weights if isinstance(self.score, ScoreFunction) else {}
        return {own_name(name): weight for name, weight in of_score.items()}

    def inside(self, x: Tensor) -> tuple[str, ...]:
        return (*super().inside(x), *self.score_weights())

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {name: Parameter(weight.dims) for name, weight in self.score_weights().items()}

    def key_heads(self) -> Number:
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def grouped(self) -> bool:
        """Whether queries share key and value heads."""
        return not equal(self.key_heads(), self.heads)

    def head_type(self, x: Tensor) -> Tensor:
        """The queries: [B, heads, T, head_dim]."""
        return Tensor("float", (x.dims[0], self.heads, x.dims[1], self.width_of_head(x)))

    def pairs_flops(self, x: Tensor, width: Number, value_width: Number) -> Number:
        """Scores and their sum over values. What a mask hides is counted: it changes what is needed, not this."""
        keys = self.keys_from(x).dims[1]
        both = product([number(4), x.dims[0], x.dims[1], keys, width])
        if equal(width, value_width):
            return both
        widths = Operation("+", (width, value_width))
        return product([number(2), x.dims[0], x.dims[1], keys, widths])

    def hidden_flops(self, x: Tensor) -> Number | None:
        """Half of the pairs, where there is no prefix."""
        if not self.causal or self.prefix is not None:
            return None
        batch, heads, length, width = self.head_type(x).dims
        return product([number(2), batch, heads, length, self.keys_from(x).dims[1], width])

    # --- what autograd keeps ---

    def keeps(self, x: Tensor, device: Device) -> Kept:
        more, work = self.pair_parts(x, device), self.pair_work(x, device)
        return Kept(input=True, sides=self.kept_sides(), more=more, work=work)

    def kept_sides(self) -> tuple[Side, ...]:
        """All but what is added to the scores, which a sum does not need again."""
        return tuple(side for side in self.sides() if side is not self.score)

    @property
    def written_out(self) -> bool:
        """Whether scores are worked out step by step: PyTorch's own attention cannot say it."""
        return self.softcap is not None or isinstance(self.score, ScoreFunction)

    def keeps_scores(self, device: Device) -> bool:
        """Whether PyTorch's own attention keeps its scores, and computes in float32: on a CPU where it drops some, or
        adds to them what learns. Its kernel for CPUs gives no gradient of a mask, whatever the rank of that."""
        return not self.written_out and device == "cpu" and (self.learns_biases or self.dropout.value != 0)

    @property
    def learns_biases(self) -> bool:
        """Whether what is added to the scores may be learned; alibi is numbers."""
        return isinstance(self.score, Side)

    @property
    def differs_by_example(self) -> bool:
        """Whether what is added to the scores, or hides some, differs from example to example."""
        by_score = isinstance(self.score, Side) and self.score.type.rank == 4
        return by_score or any(isinstance(given, Side) for given in (self.mask, self.documents, self.prefix))

    def pair_work(self, x: Tensor, device: Device) -> tuple[Part, ...]:
        """The gradient of scores, where they are kept. Kernels for CUDA add the gradient of queries up in float32."""
        if self.written_out or self.keeps_scores(device):
            return (Part((x.dims[0], self.heads, x.dims[1], self.keys_from(x).dims[1])),)
        return (Part(self.head_type(x).dims),) if device == "cuda" else ()

    def pair_parts(self, x: Tensor, device: Device) -> tuple[Part, ...]:
        """What comes of queries and keys that meet: of PyTorch's own attention a number for each query, the logarithm
        of its softmax's sum, where it does not keep the scores."""
        batch, queries, keys = *x.dims[:2], self.keys_from(x).dims[1]
        scores = (batch, self.heads, queries, keys)
        if not self.written_out and not self.keeps_scores(device):
            dims = self.mask_dims(x)
            return (Part(scores[:3]), *([Part(dims, None)] if dims else []))
        kept = [Part(scores)]  # the softmax, always in float32
        if self.softcap is not None:
            kept.append(Part(scores, None))  # the hyperbolic tangent
        if isinstance(self.score, ScoreFunction):
            kept.append(Part(scores, None))  # the scores that the function reads
        if self.dropout.value != 0:
            left = Part(scores, None if self.written_out else 4)
            kept += [Part(scores, 1 if device == "cuda" else 4), left]  # the mask, and what it left
        if self.hides and not self.plainly_causal(x):
            kept.append(Part(self.seen_dims(x), 1))
        if self.written_out and self.may_be_blind(x):
            kept.append(Part(scores, None))  # the softmax once more, zeros where nothing is seen
        return tuple(kept)

    def mask_dims(self, x: Tensor) -> tuple[Number, ...]:
        """Of the numbers that PyTorch's own attention makes of a mask and of what is added to the scores, and keeps;
        empty where it takes none."""
        if self.plainly_causal(x):
            return ()
        if not self.learns_biases and not self.alibi:
            return self.seen_dims(x)
        batch, queries, keys = *x.dims[:2], self.keys_from(x).dims[1]
        return (*([batch] if self.differs_by_example else []), self.heads, queries, keys)

    def seen_dims(self, x: Tensor) -> tuple[Number, ...]:
        """Of what is true where a key is seen; empty where all are."""
        if not self.hides:
            return ()
        batch, queries, keys = *x.dims[:2], self.keys_from(x).dims[1]
        each_example = any(isinstance(given, Side) for given in (self.mask, self.documents, self.prefix))
        by_mask = self.mask is not None and self.mask.type.rank == 3
        each_query = self.causal or self.window is not None or self.documents is not None or by_mask
        return (*([batch] if each_example else []), *([queries] if each_query else []), keys)

    # --- what has to be masked, for all backends ---

    def square(self, x: Tensor) -> bool:
        """Whether there are as many queries as keys, whatever the lengths."""
        return equal(x.dims[1], self.keys_from(x).dims[1])

    @property
    def hides(self) -> bool:
        """Whether some queries do not see some keys."""
        return self.causal or any(option is not None for option in (self.window, self.documents, self.mask))

    def plainly_causal(self, x: Tensor) -> bool:
        """Whether what is seen is just what comes no later, with queries and keys side by side."""
        hidden = (self.window, self.prefix, self.documents, self.mask, self.score)
        return self.causal and self.square(x) and not self.alibi and all(option is None for option in hidden)

    def may_be_blind(self, x: Tensor) -> bool:
        """Whether there may be a query that sees no key at all."""
        return self.mask is not None or (not self.square(x) and (self.causal or self.window is not None))

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def drops(self, code: Code) -> bool:
        return self.dropout.value != 0 and not code.exporting

    def given(self) -> list[tuple[str, Side]]:
        """The side inputs besides the sequences, by the names of `forward`'s arguments and in their order."""
        options = {"prefix": self.prefix, "documents": self.documents, "score": self.score, "mask": self.mask}
        of_score = self.score.sides if isinstance(self.score, ScoreFunction) else {}
        return [
            *((name, side) for name, side in options.items() if isinstance(side, Side)),
            *((own_name(name), side) for name, side in of_score.items()),
        ]

    def sides(self) -> tuple[Side, ...]:
        of_score = self.score.sides.values() if isinstance(self.score, ScoreFunction) else ()
        return tuple(sorted((*super().sides(), *of_score), key=lambda side: side.place))

    def constructor(self, x: Tensor, code: Code) -> str:
        from .attention_torch import definition  # a check needs no text

        name = code.library(f"{self.word[0].upper()}{self.word[1:]}", definition(self, x, code))
        return f"{name}({', '.join([*self.widths(x, code), *self._arguments(x, code)])})"

    def widths(self, x: Tensor, code: Code) -> list[str]:
        """The arguments that say how wide things are, and the number of heads."""
        return [code.number(x.dims[-1]), code.number(self.heads)]

    def _arguments(self, x: Tensor, code: Code) -> list[str]:
        found: list[str] = []
        if self.grouped:
            found.append(f"kv_heads={code.number(self.key_heads())}")
        if self.head_dim is not None:
            found.append(f"head_dim={code.number(self.head_dim)}")
        if self.rotary is not None:
            found += [f"length={self._length(x, code)}", f"base={code.number(self.rotary)}"]
        if self.qk_norm is not None:
            norm = self.qk_norm.constructor(self.head_type(x), code)
            found += [f"q_norm={norm}", f"k_norm={norm}"]
        if self.scale is not None:
            found.append(f"scale={code.real(self.scale)}")
        if self.softcap is not None:
            found.append(f"softcap={code.real(self.softcap)}")
        if self.window is not None:
            found.append(f"window={code.number(self.window)}")
        if self.prefix is not None and not isinstance(self.prefix, Side):
            found.append(f"prefix={code.number(self.prefix)}")
        if isinstance(self.score, ScoreFunction) and code.fused(self, x) is None:
            found += [f"{name}={code.number(reference)}" for reference, name in self.score.names().items()]
        if self.drops(code):
            found.append(f"dropout={code.number(self.dropout)}")
        return [*found, *held.given(code.held)]

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        sides = [*self.sequences, *(side for _, side in self.given())]
        return f"{module}({', '.join([x, *map(str, sides)])})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.init_weights(generator)"]

    # --- rotary tables ---

    def longest(self, x: Tensor) -> int:
        """The longest of the sequences that rotary turns."""
        return max(_longest(x.dims[1]), _longest(self.keys_from(x).dims[1]))

    def _length(self, x: Tensor, code: Code) -> str:
        """The longest sequence, in the words of the model's input where they say it."""
        keys = self.keys_from(x).dims[1]
        dim = x.dims[1] if _longest(x.dims[1]) >= _longest(keys) else keys
        while isinstance(dim, Reference) and dim.value is None and dim.target is not None:
            dim = dim.target
        if isinstance(dim, Reference) and dim.value is None and dim.most is not None:
            return code.number(dim.most)
        return code.number(dim if dim.value is not None else number(self.longest(x)))


def shown(n: Number) -> str:
    """A number as written, with its value where that is not plain: `dim (768)`."""
    text = written(n)
    return text if n.value is None or text == spell(n.value) else f"{text} ({spell(n.value)})"


_SEQUENCE = "a batch of sequences of vectors: an axis for the batch, one for the places, one for the width"


def check_sequence(word: str, x: Tensor, what: str = "comes in", option: str | None = None) -> None:
    """Raises ShapeFault where `x` is no sequence of vectors of known width."""
    if x.rank != 3 or x.dtype != "float":
        raise ShapeFault(f"{word} takes [B, T, D], and {x} {what}", _SEQUENCE, option)
    if x.dims[-1].value is None:
        raise ShapeFault(
            f"{word} needs a last axis of known width", "its matrices are made when the model is built", option
        )


def check_batch(word: str, x: Tensor, side: Tensor, option: str) -> None:
    """Raises ShapeFault where a side input has not one sequence for each of those that come in."""
    if not equal(x.dims[0], side.dims[0]):
        raise ShapeFault(
            f"{word} takes a sequence for each of {written(x.dims[0])}, and `{option}` is {side}",
            f"the first axis of `{option}` must be that of what comes in",
            option,
        )


def _heads(heads: Number) -> str:
    """`5 heads`; a number under a name that says so is not told twice: `heads = 5`."""
    text = written(heads)
    return f"{shown(heads)} heads" if heads.value is None or "heads" not in text else f"{text} = {spell(heads.value)}"


def divided(width: Number, heads: Number, option: str = "heads") -> Number:
    """The width of a head. Raises ShapeFault where the width does not divide."""
    if not divides(heads, width):
        raise ShapeFault(
            f"{shown(width)} does not divide into {_heads(heads)}",
            "make the width a multiple of `heads`, or give `head_dim`",
            option,
        )
    return operation("/", width, heads)


def _check_side(option: str, side: Side, fitting: tuple[Tensor, ...], what: str, help: str) -> None:
    if not any(same(side.type, type_) for type_ in fitting):
        raise ShapeFault(f"`{option}` takes {what}; this is {side.type}", help, option)


def _longest(dim: Number) -> int:
    longest = limit(dim)
    assert longest is not None
    return int(longest)
