"""What PyTorch says of a layer: the weights of its module, and what `forward` gives at sizes of the open dims.

The module is made on the meta device, which has shapes and no numbers. What cannot run there is tried on the CPU.
PyTorch is what the file itself has imported: the compiler imports none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...grammar.source import Source
from ..semantics.bounds import value_at
from ..semantics.number import Number, Reference
from ..semantics.tensor import Tensor
from .execute import PythonFault, faults_of

Shape = tuple[int, ...]

BATCHES = 2, 3
LENGTHS = 32, 35
"""For the open dims of a first and a second trial: even ones, which most layers take, and odd ones. They differ from
each other by 16 and 12, so that none is taken for another."""
STEPS = 16, 12


class Unfit(Exception):
    """A module that cannot be a layer: the message says why, `help` what to write."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message, self.help = message, help


@dataclass(frozen=True)
class Held:
    """What a module holds, by key: what is trained, and what is only kept."""

    weights: Mapping[str, Shape]
    buffers: Mapping[str, Shape]


@dataclass
class Sizes:
    """Gives each open dim a size, when it is first asked for."""

    turn: int
    known: dict[tuple[str, object], int] = field(default_factory=dict)

    def shape(self, dims: Iterable[Number]) -> Shape | None:
        """The sizes of dims; None where one has none that is whole."""
        found = [value_at(dim, self._batch if axis == 0 else self._length) for axis, dim in enumerate(dims)]
        return None if any(size is None or size != int(size) for size in found) else tuple(map(int, found))  # type: ignore[arg-type]

    def _batch(self, dim: Reference) -> int:
        return self._size(dim, BATCHES[self.turn])

    def _length(self, dim: Reference) -> int:
        return self._size(dim, LENGTHS[self.turn] + STEPS[self.turn] * len(self.known))

    def _size(self, dim: Reference, wanted: int) -> int:
        least = 1 if dim.least is None or dim.least.value is None else int(dim.least.value)
        most = wanted if dim.most is None or dim.most.value is None else int(dim.most.value)
        return self.known.setdefault((dim.name, dim.owner), max(least, min(wanted, most)))


def held(made: type, arguments: Mapping[str, Any], source: Source) -> Held:
    """What a module of the class holds. Raises PythonFault for what its making raises, Unfit."""
    module = _made(made, arguments, source)
    torch = _torch()
    for path, inner in module.named_modules():
        for name, value in vars(inner).items():
            if isinstance(value, torch.Tensor):
                message = (
                    f"keeps the tensor `{f'{path}.{name}'.lstrip('.')}` as a plain attribute, which no checkpoint holds"
                )
                raise Unfit(
                    message, f'write `self.register_buffer("{name}", ...)`; what is trained is an `nn.Parameter`'
                )
    trained = dict(module.named_parameters())
    if any(torch.nn.parameter.is_lazy(one) for one in trained.values()):
        raise Unfit(
            "has weights whose shapes are known only after it ran (a lazy module)", "say the widths from `input_shape`"
        )
    everything = module.state_dict(keep_vars=True)
    own = {id(one) for one in trained.values()}
    kept = {name: tuple(one.shape) for name, one in everything.items() if id(one) not in own}
    return Held({name: tuple(one.shape) for name, one in trained.items()}, kept)


def outputs(
    made: type,
    arguments: Mapping[str, Any],
    inputs: Sequence[Tensor],
    names: Sequence[str],
    sizes: Sizes,
    source: Source,
) -> tuple[list[tuple[Shape, str]], list[Shape]] | None:
    """Shapes and dtypes of what `forward` gives, and the shapes of what it was given; None where no sizes fit.

    `names` are those of the inputs after the first. Raises PythonFault for what it raises, Unfit.
    """
    shapes = [sizes.shape(one.dims) for one in inputs]
    if any(shape is None for shape in shapes):
        return None
    torch = _torch()
    dtypes = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}

    def run(device: str) -> Any:
        module = _on(device, made, arguments, source).eval()
        given = [
            torch.zeros(shape, dtype=dtypes[one.dtype], device=device)
            for shape, one in zip(shapes, inputs, strict=True)
        ]
        with faults_of(source), torch.no_grad():
            return module(given[0], **dict(zip(names, given[1:], strict=True)))

    try:
        result = run("meta")
    except PythonFault:
        with _own_chance(torch):
            result = run("cpu")
    results = result if isinstance(result, tuple | list) else (result,)
    for one in results:
        if not isinstance(one, torch.Tensor):
            raise Unfit(
                f"gives {type(one).__name__}, and what flows is a tensor", "return a tensor, or a tuple of tensors"
            )
    return [(tuple(one.shape), str(one.dtype).removeprefix("torch.")) for one in results], shapes  # type: ignore[return-value]


def _made(made: type, arguments: Mapping[str, Any], source: Source) -> Any:
    try:
        return _on("meta", made, arguments, source)
    except PythonFault:
        with _own_chance(_torch()):
            return _on("cpu", made, arguments, source)


def _on(device: str, made: type, arguments: Mapping[str, Any], source: Source) -> Any:
    with faults_of(source), _torch().device(device):
        return made(**arguments)


@contextmanager
def _own_chance(torch: Any) -> Iterator[None]:
    """What is drawn inside changes nothing that is drawn outside."""
    with torch.random.fork_rng(devices=[]):
        yield


def _torch() -> Any:
    return sys.modules["torch"]
