"""What becomes of a length, known or open: as PyTorch has it, folded, and written as one would write it."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from one_layer import OneLayer, type_of
from picture_cases import H, T
from torch import nn

from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.layers.lengths import divided, floor_divided, shifted, slid, times
from dlspec.compiler.semantics.number import Number, Operation, equal, number, whole, written

few = st.integers(1, 6)


@given(length=st.integers(1, 40), kernel=few, stride=few, dilation=st.integers(1, 3), pad=st.integers(0, 4))
def test_a_length_is_that_of_pytorch_known_or_open(
    length: int, kernel: int, stride: int, dilation: int, pad: int
) -> None:
    assume(length + 2 * pad >= dilation * (kernel - 1) + 1)
    options: dict[str, Any] = {"features": 2, "kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}
    given = OneLayer.make("Conv1d", type_of("float", 1, 3, length), **options)
    with torch.device("meta"):
        expected = nn.Conv1d(3, 2, kernel, stride, pad, dilation)(torch.ones(1, 3, length)).shape
    assert tuple(map(whole, given.types[0].dims)) == tuple(expected)
    opened = OneLayer.make("Conv1d", type_of("float", 1, 3, T), **options)
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


@given(
    length=st.integers(1, 30),
    kernel=few,
    stride=few,
    dilation=st.integers(1, 3),
    pad=st.integers(0, 3),
    out_pad=st.integers(0, 4),
)
def test_a_transposed_length_is_that_of_pytorch(
    length: int, kernel: int, stride: int, dilation: int, pad: int, out_pad: int
) -> None:
    assume(out_pad < max(stride, dilation))
    assume((length - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1 >= 1)
    options: dict[str, Any] = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "out_pad": out_pad}
    opened = OneLayer.make("ConvTranspose1d", type_of("float", 1, 3, T), features=2, **options)
    with torch.device("meta"):
        theirs = nn.ConvTranspose1d(3, 2, kernel, stride, pad, out_pad, dilation=dilation)
        expected = theirs(torch.ones(1, 3, length)).shape
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


@given(length=st.integers(1, 40), size=few, stride=few, pad=st.integers(0, 3), ceil=st.booleans())
def test_a_pooled_length_is_that_of_pytorch(length: int, size: int, stride: int, pad: int, ceil: bool) -> None:
    assume(2 * pad <= size <= length + 2 * pad)
    opened = OneLayer.make("max_pool", type_of("float", 1, 3, T), size=size, stride=stride, pad=pad, ceil=ceil)
    expected = F.max_pool1d(torch.ones(1, 3, length), size, stride, pad, ceil_mode=ceil).shape
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


lengths = st.recursive(
    st.sampled_from([T, H, number(7)]),
    lambda inner: st.one_of(
        st.tuples(inner, st.integers(-3, 9)).map(lambda pair: shifted(*pair)),
        st.tuples(inner, st.integers(1, 6)).map(lambda pair: times(*pair)),
        st.tuples(inner, st.integers(-4, 4), st.integers(1, 5)).map(lambda triple: floor_divided(*triple)),
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(lengths, st.integers(-5, 5), st.integers(1, 6), st.integers(0, 60), st.integers(0, 60))
def test_folding_changes_no_value(n: Number, shift: int, by: int, t: int, h: int) -> None:
    at = Sizes({"T": t, "H": h})
    assert at.of(floor_divided(n, shift, by)) == (at.of(n) + shift) // by
    assert at.of(times(n, by)) == at.of(n) * by
    part = divided(n, by)
    assert part is None or at.of(part) * by == at.of(n)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (slid(H, 7, 2, 3, 3), "(H - 1) // 2 + 1"),
        (slid(slid(H, 7, 2, 3, 3), 3, 2, 1, 1), "(H - 1) // 4 + 1"),
        (slid(H, 2, 2, 0, 0), "H // 2"),
        (slid(H, 3, 1, 1, 1), "H"),
        (slid(H, 5, 1, 0, 0), "H - 4"),
        (slid(Operation("*", (number(16), H)), 3, 2, 1, 1), "8 * H"),
        (slid(slid(Operation("*", (number(4), H)), 2, 2, 0, 0), 2, 2, 0, 0), "H"),
        (slid(number(224), 7, 2, 3, 3), "112"),
        (times(Operation("*", (number(8), H)), 2), "16 * H"),
    ],
    ids=str,
)
def test_lengths_read_as_one_would_write_them(n: Number, text: str) -> None:
    assert written(n) == text


def test_equal_lengths_are_equal_however_they_came_about() -> None:
    convolution = slid(H, 3, 2, 1, 1)
    assert equal(convolution, slid(H, 1, 2, 0, 0))
    assert equal(convolution, slid(H, 7, 2, 3, 3))
    assert not equal(convolution, slid(H, 2, 2, 0, 0))


@settings(max_examples=300)
@given(lengths, st.integers(-5, 5), st.integers(1, 6), lengths, st.integers(0, 60), st.integers(0, 60))
def test_lengths_that_are_said_to_be_equal_are(n: Number, shift: int, by: int, m: Number, t: int, h: int) -> None:
    """A floor as it is folded here, and as a signature would have it."""
    written_out = Operation("//", (Operation("+", (n, number(shift))), number(by)))
    assert equal(written_out, floor_divided(n, shift, by))
    at = Sizes({"T": t, "H": h})
    assert not equal(n, m) or at.of(n) == at.of(m)
