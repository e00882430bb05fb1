"""The PyTorch class of RNN, LSTM and GRU, written out for the options that were chosen and nothing else.

It is PyTorch's own module with another `forward`, so that weights, their names and cuDNN's layout of them are
PyTorch's. TorchScript compiles no `super().forward`, so the class that it scripts calls the function behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import held
from .base import Code

if TYPE_CHECKING:
    from .recurrent import Recurrent


def definition(layer: Recurrent, code: Code) -> str:
    """The class as source text."""
    width = "2 * hidden" if layer.bidirectional else "hidden"
    inputs = ["x", *(name for name in ("lengths", "state") if getattr(layer, name) is not None)]
    arguments = ", ".join(["self", *(f"{name}: Tensor" for name in inputs)])
    lines = [
        f"class {layer.word}(nn.{layer.word}):",
        f'    """{layer.title}: [B, T, dim] -> states, last, state',
        "",
        f"    `states` is [B, T, {width}], `last` the last of each direction, [B, {width}], and",
        f"    `state` what goes on from here, [{_rows(layer)}, B, hidden].",
        '    """',
        "",
        *(f"    {line}".rstrip() for line in _init(layer, code)),
        f"    def forward({arguments}) -> tuple[Tensor, Tensor, Tensor]:",
        *(f"        {line}" for line in (_scripted(layer) if code.exporting else _forward(layer))),
    ]
    return "\n".join(lines) + "\n"


def _init(layer: Recurrent, code: Code) -> list[str]:
    """Only where it keeps what was made in its arguments; else PyTorch's own will do."""
    if not code.held:
        return []
    options = [f"{name}: {'float' if name == 'dropout' else 'int'}" for name in layer.numbers(code)]
    given = [*(f"{name}={name}" for name in layer.numbers(code)), *layer.flags()]
    return [
        f"def __init__({', '.join(['self', 'dim: int', 'hidden: int', *options, *held.taken(code.held)])}) -> None:",
        f"    super().__init__({', '.join(['dim', 'hidden', *given])})",
        *(f"    {line}" for line in held.kept(code.held)),
        "",
    ]


def _rows(layer: Recurrent) -> str:
    factors = [str(layer.parts)] if layer.parts > 1 else []
    return " * ".join([*factors, "layers", *(["2"] if layer.bidirectional else [])])


_PACK = [
    "packed = nn.utils.rnn.pack_padded_sequence(",
    "    x, lengths.cpu(), batch_first=True, enforce_sorted=False",
    ")",
]


def _forward(layer: Recurrent) -> list[str]:
    pair = layer.parts == 2
    lines, x = list[str](), "x"
    if layer.lengths is not None:
        lines += _PACK
        x = "packed"
    given = [x]
    if layer.state is not None:
        if pair:
            lines.append("h, c = state.chunk(2)")
        given.append("(h, c)" if pair else "state")
    left = "states, (h, c)" if pair else "states, state"
    lines.append(f"{left} = super().forward({', '.join(given)})")
    if layer.lengths is not None:
        lines += _unpack("states")
    return [*lines, _result(layer)]


def _unpack(packed: str) -> list[str]:
    return [
        "states, _ = nn.utils.rnn.pad_packed_sequence(",
        f"    {packed}, batch_first=True, total_length=x.shape[1]",
        ")",
    ]


def _result(layer: Recurrent) -> str:
    h = "h" if layer.parts == 2 else "state"
    last = f"torch.cat(({h}[-2], {h}[-1]), -1)" if layer.bidirectional else f"{h}[-1]"
    return f"return states, {last}, {'torch.cat((h, c))' if layer.parts == 2 else 'state'}"


def _scripted(layer: Recurrent) -> list[str]:
    """By the function of `torch`, whose states are sorted by length where lengths are given."""
    pair = layer.parts == 2
    lines = list(_PACK) if layer.lengths is not None else []
    if layer.state is None:
        rows = "2 * self.num_layers" if layer.bidirectional else "self.num_layers"
        shape = f"{rows}, x.shape[0], self.hidden_size"
        lines.append(f"{'h = c' if pair else 'state'} = torch.zeros({shape}, dtype=x.dtype, device=x.device)")
    elif pair:
        lines.append("h, c = state.chunk(2)")
    names = ["h", "c"] if pair else ["state"]
    if layer.lengths is not None:
        lines += ["order = packed.sorted_indices", "assert order is not None"]
        lines += [f"{name} = {name}.index_select(1, order)" for name in names]
    start = "(h, c)" if pair else "state"
    common = f"{start}, self._flat_weights, True, self.num_layers, 0.0, False, self.bidirectional"
    data = "packed.data, packed.batch_sizes, " if layer.lengths is not None else "x, "
    batch_first = "" if layer.lengths is not None else ", True"
    lines.append(f"states, {', '.join(names)} = torch.{layer.torch_function}({data}{common}{batch_first})")
    if layer.lengths is not None:
        lines += ["back = packed.unsorted_indices", "assert back is not None"]
        lines += [f"{name} = {name}.index_select(1, back)" for name in names]
        lines.append("packed = nn.utils.rnn.PackedSequence(states, packed.batch_sizes, order, back)")
        lines += _unpack("packed")
    return [*lines, _result(layer)]
