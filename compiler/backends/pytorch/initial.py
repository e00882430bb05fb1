"""How initial weights are drawn: the functions and lines that the emitted `init_weights` use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...training.init import Init


@dataclass(frozen=True)
class Scheme:
    """The recipe's `init`; None is PyTorch's own: uniform by fan-in, tables from N(0, 1)."""

    init: Init | None = None


def init_linear_source(scheme: Scheme) -> str:
    """The function that draws a Linear's weights."""
    if scheme.init is None:
        return '''\
def init_linear(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights of a Linear, drawn from `generator`."""
    bound = 1 / math.sqrt(linear.in_features)
    nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
    if linear.bias is not None:
        nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
'''
    return f'''\
def init_linear(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """Weights {scheme.init.drawn}, drawn from `generator`; biases 0."""
{_indented(scheme.init.lines("linear.weight"), 4)}
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
'''


def init_conv_source(scheme: Scheme) -> str:
    """The function that draws a convolution's weights, transposed or not: fan-in is what PyTorch takes it to be."""
    if scheme.init is None:
        return '''\
def init_conv(weight: Tensor, bias: Tensor | None, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights of a convolution, drawn from `generator`."""
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(weight, -bound, bound, generator=generator)
    if bias is not None:
        nn.init.uniform_(bias, -bound, bound, generator=generator)
'''
    return f'''\
def init_conv(weight: Tensor, bias: Tensor | None, generator: torch.Generator | None) -> None:
    """Weights {scheme.init.drawn}, drawn from `generator`; biases 0."""
{_indented(scheme.init.lines("weight"), 4)}
    if bias is not None:
        nn.init.zeros_(bias)
'''


def init_recurrent_source(scheme: Scheme) -> str:
    """The function that draws the weights of an RNN, LSTM or GRU."""
    if scheme.init is None:
        return '''\
def init_recurrent(rnn: nn.RNNBase, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights of a recurrent layer, drawn from `generator`."""
    bound = 1 / math.sqrt(rnn.hidden_size)
    for weight in rnn.parameters():
        nn.init.uniform_(weight, -bound, bound, generator=generator)
'''
    return f'''\
def init_recurrent(rnn: nn.RNNBase, generator: torch.Generator | None) -> None:
    """Matrices {scheme.init.drawn}, drawn from `generator`; biases 0."""
    for weight in rnn.parameters():
        if weight.ndim == 2:
{_indented(scheme.init.lines("weight"), 12)}
        else:
            nn.init.zeros_(weight)
'''


def init_table_lines(scheme: Scheme, tensor: str) -> list[str]:
    """The statements that draw a table of vectors."""
    if scheme.init is None:
        return [f"nn.init.normal_({tensor}, generator=generator)"]
    return scheme.init.lines(tensor)


def init_vector_lines(scheme: Scheme, tensor: str) -> list[str]:
    """The statements that draw a single vector as one of a table is drawn."""
    as_row = scheme.init is not None and scheme.init.of_matrices
    return init_table_lines(scheme, f"{tensor}.unsqueeze(0)" if as_row else tensor)


def init_bias_source(scheme: Scheme) -> str:
    """The function that draws the bias of a Linear whose weight is another layer's."""
    if scheme.init is None:
        return '''\
def init_bias(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """PyTorch's own initial bias of a Linear, drawn from `generator`."""
    bound = 1 / math.sqrt(linear.in_features)
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
'''
    return """\
def init_bias(linear: nn.Linear, generator: torch.Generator | None) -> None:
    nn.init.zeros_(linear.bias)
"""


def _indented(lines: list[str], columns: int) -> str:
    return "\n".join(f"{' ' * columns}{line}" for line in lines)


INIT_AS_MADE = '''
def init_as_made(
    module: nn.Module,
    make: Callable[[], nn.Module],
    generator: torch.Generator | None,
) -> None:
    """Give a module what its class gives to a new one, drawn from a seed of its own."""
    device = None if generator is None else generator.device
    seed = int(torch.randint(2**62, (), generator=generator, device=device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        new = make()
    values = [*new.parameters(), *new.buffers()]
    for tensor, value in zip([*module.parameters(), *module.buffers()], values):
        tensor.copy_(value)
'''
"""For modules whose class is written elsewhere: their initial values are known to it alone."""
