"""What holds for kernels of any kind, as long as their own file says nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..use import Use


@dataclass(frozen=True)
class Rival:
    """Something else that computes what a kernel does. It takes the same arguments, by name."""

    name: str
    run: Callable[..., Any]
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    """What it runs in."""


class Kind:
    """Kernels that are bound by memory: their work is what they have to read and write."""

    unit: ClassVar[str] = "GB/s"
    """What `forward_work` and `backward_work` make with seconds: GB/s of bytes, or TFLOP/s of FLOPs."""

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Of one call, at least."""
        return bytes_of([*use.tensors.values(), *use.weights, *outputs])

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """The same, from the gradients of the outputs to those of what came in."""
        return bytes_of([*use.tensors.values(), *use.weights, *outputs, *use.trained])

    def bytes_of_number(self, use: Use, *, backward: bool) -> int:
        """By which a launcher chooses its tiles: the first that comes in, and backward the widest."""
        sizes = [tensor.element_size() for tensor in use.tensors.values() if tensor.is_floating_point()]
        return max(sizes) if backward else sizes[0]

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        """Besides `plain`, which is the plain PyTorch form of the same, and its compilation by torch.compile.

        They are made only when there is a GPU to run them.
        """
        return iter(())


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Of all of them together."""
    return sum(tensor.nbytes for tensor in tensors)
