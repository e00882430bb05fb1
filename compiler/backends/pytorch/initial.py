"""How initial weights are drawn: the functions and lines that the emitted `init_weights` use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheme:
    """`init = normal(0.02)`; `std` is its text. None is PyTorch's own: uniform by fan-in, tables from N(0, 1)."""

    std: str | None = None


def init_linear_source(scheme: Scheme) -> str:
    """The function that draws a Linear's weights."""
    if scheme.std is None:
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
    """Weights from N(0, {scheme.std}^2), drawn from `generator`; biases 0."""
    nn.init.normal_(linear.weight, std={scheme.std}, generator=generator)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
'''


def init_conv_source(scheme: Scheme) -> str:
    """The function that draws a convolution's weights, transposed or not: fan-in is what PyTorch takes it to be."""
    if scheme.std is None:
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
    """Weights from N(0, {scheme.std}^2), drawn from `generator`; biases 0."""
    nn.init.normal_(weight, std={scheme.std}, generator=generator)
    if bias is not None:
        nn.init.zeros_(bias)
'''


def init_recurrent_source(scheme: Scheme) -> str:
    """The function that draws the weights of an RNN, LSTM or GRU."""
    if scheme.std is None:
        return '''\
def init_recurrent(rnn: nn.RNNBase, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights of a recurrent layer, drawn from `generator`."""
    bound = 1 / math.sqrt(rnn.hidden_size)
    for weight in rnn.parameters():
        nn.init.uniform_(weight, -bound, bound, generator=generator)
'''
    return f'''\
def init_recurrent(rnn: nn.RNNBase, generator: torch.Generator | None) -> None:
    """Matrices from N(0, {scheme.std}^2), drawn from `generator`; biases 0."""
    for weight in rnn.parameters():
        if weight.ndim == 2:
            nn.init.normal_(weight, std={scheme.std}, generator=generator)
        else:
            nn.init.zeros_(weight)
'''


def init_table_line(scheme: Scheme, tensor: str) -> str:
    """The statement that draws a table of vectors."""
    std = "" if scheme.std is None else f"std={scheme.std}, "
    return f"nn.init.normal_({tensor}, {std}generator=generator)"


def init_bias_source(scheme: Scheme) -> str:
    """The function that draws the bias of a Linear whose weight is another layer's."""
    if scheme.std is None:
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
