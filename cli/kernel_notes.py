"""Why kernels that were asked for do not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def kernel_notes(without: Mapping[str, str]) -> Iterator[str]:
    """A line for each layer that has none, by its word, with what there are none for."""
    for word, reason in without.items():
        yield f"{word} runs as PyTorch has it: there are no kernels for {reason}"


def no_gpu_note(*, has_kernels: bool, device: str) -> Iterator[str]:
    """A line where the kernels of a run need a GPU that it does not get."""
    if has_kernels and device != "cuda":
        yield f"the kernels run on a GPU: on {device} their plain forms do"
