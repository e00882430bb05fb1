"""The rules by which kernels are specialised, each on a small template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from triton_attention_cases import FORWARD

from dlspec.compiler.backends.triton import specialise_read
from dlspec.compiler.backends.triton.specialise import specialise

HEAD = "import triton\nimport triton.language as tl\n\n\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What becomes of a template: its functions' text, without decorators."""
    monkeypatch.setattr(specialise_read, "TEMPLATES", tmp_path)

    def made(text: str, constants: Mapping[str, Any], replaced: Mapping[str, str] | None = None) -> str:
        (tmp_path / "one.py").write_text(HEAD + text.replace("def ", "@triton.jit\ndef "), encoding="utf-8")
        return specialise(["one.kernel"], constants, replaced).text.replace("@triton.jit\n", "")

    return made


def test_a_constant_is_followed_under_another_name(small: Callable[..., str]) -> None:
    text = """
def tile(x, ROWS: tl.constexpr, WIDE: tl.constexpr, LAST: tl.constexpr):
    if WIDE and not LAST:
        return tl.load(x + tl.arange(0, ROWS)) * 2
    return tl.load(x)


def kernel(x, y, N: tl.constexpr, DOUBLE: tl.constexpr):
    tl.store(y, tile(x, N, DOUBLE, False) + tile(x, N, not not DOUBLE, False))
"""
    assert (
        small(text, {"DOUBLE": True, "N": 8})
        == """\
N = tl.constexpr(8)


def tile(x):
    return tl.load(x + tl.arange(0, N)) * 2


def kernel(x, y):
    tl.store(y, tile(x) + tile(x))
"""
    )


def test_a_constant_that_is_another_goes_by_its_name(small: Callable[..., str]) -> None:
    text = '''
def tile(x, ROWS: tl.constexpr):
    return tl.load(x + tl.arange(0, ROWS))


def kernel(x, y, WIDTH: tl.constexpr, OTHER: tl.constexpr):
    """x [WIDTH], y [OTHER]."""
    if WIDTH != OTHER:
        tl.store(y, 0)
    tl.store(y + tl.arange(0, OTHER), tile(x, WIDTH) + tile(y, OTHER))
'''
    assert (
        small(text, {"WIDTH": 8, "OTHER": "WIDTH"})
        == '''\
WIDTH = tl.constexpr(8)


def tile(x):
    return tl.load(x + tl.arange(0, WIDTH))


def kernel(x, y):
    """x [WIDTH], y [WIDTH]."""
    tl.store(y + tl.arange(0, WIDTH), tile(x) + tile(y))
'''
    )


def test_where_callers_differ_the_parameter_stays(small: Callable[..., str]) -> None:
    text = """
def tile(x, FAST: tl.constexpr, MASKED: tl.constexpr):
    if MASKED or FAST:
        return tl.load(x)
    else:
        return 0.0


def kernel(x, y, FAST: tl.constexpr):
    tl.store(y, tile(x, FAST, True) + tile(x, FAST, False))
"""
    assert (
        small(text, {"FAST": False})
        == """\
def tile(x, MASKED: tl.constexpr):
    if MASKED:
        return tl.load(x)
    else:
        return 0.0


def kernel(x, y):
    tl.store(y, tile(x, True) + tile(x, False))
"""
    )


def test_elif_is_folded_in_every_place(small: Callable[..., str]) -> None:
    text = """
def kernel(x, y, n, A: tl.constexpr, B: tl.constexpr):
    if n > 3:
        # Many.
        tl.store(y, 1)
    elif A:
        # Few, and A.
        tl.store(y, x)
    elif B:
        tl.store(y, 2)
    else:
        tl.store(y, 3)
"""
    body = "def kernel(y, n):\n    if n > 3:\n        # Many.\n        tl.store(y, 1)\n"
    assert small(text, {"A": False, "B": True}) == f"{body}    else:\n        tl.store(y, 2)\n"
    assert small(text, {"A": False}) == (
        f"{body.replace('(y, n)', '(y, n, B: tl.constexpr)')}"
        "    elif B:\n        tl.store(y, 2)\n    else:\n        tl.store(y, 3)\n"
    )
    with_a = body.replace("(y, n)", "(x, y, n)")
    assert small(text, {"A": True, "B": True}) == f"{with_a}    else:\n        # Few, and A.\n        tl.store(y, x)\n"


def test_what_is_stored_stays_and_what_is_only_computed_goes(small: Callable[..., str]) -> None:
    text = """
def count(counter):
    tl.atomic_add(counter, 1)
    return 0


def pair(x):
    return x + 1, x * 2


def kernel(x, counter, slopes, y, ON: tl.constexpr):
    slope = 0.0
    if ON:
        slope = tl.load(slopes)
    _ = count(counter)
    old = tl.atomic_add(counter, 2)
    unused, used = pair(x)
    for i in range(4):
        slope = slope + i
    tl.store(y, used)
    if ON:
        tl.store(y + 1, slope)
"""
    assert (
        small(text, {"ON": False})
        == """\
def count(counter):
    tl.atomic_add(counter, 1)
    return 0


def pair(x):
    return x * 2


def kernel(x, counter, y):
    _ = count(counter)
    old = tl.atomic_add(counter, 2)
    used = pair(x)
    tl.store(y, used)
"""
    )
    assert "    slope = tl.load(slopes)\n" in small(text, {"ON": True})
    assert "slope = 0.0" not in small(text, {"ON": True})


def test_copies_are_read_where_they_come_from(small: Callable[..., str]) -> None:
    text = """
def same(x, y):
    return x


def slope(x):
    return 1.0


def kernel(x, y, n, GROUP: tl.constexpr):
    first = n // GROUP

    last = first
    low = 0
    low = tl.maximum(low, last)
    for member in range(GROUP):
        head = first * GROUP + member
        kept = low
        low = low + head
        tl.store(y + same(kept, x), low)
"""
    assert (
        small(text, {"GROUP": 1})
        == """\
def kernel(y, n):
    low = tl.maximum(0, n)
    kept = low
    low = low + n
    tl.store(y + kept, low)
"""
    )
    assert "range(GROUP)" in small(text, {"GROUP": 2})


def test_a_function_is_replaced_with_what_it_brings(small: Callable[..., str]) -> None:
    text = """
def score(s, weights):
    return s


def kernel(x, y, weights):
    tl.store(y, score(tl.load(x), weights))
"""
    given = """
CAP = tl.constexpr(30.0)


@triton.jit
def clipped(x):
    return tl.minimum(x, CAP)


@triton.jit
def score(s, weights):
    return (
        clipped(s)
    )
"""
    assert (
        small(text, {}, {"score": given})
        == """\
CAP = tl.constexpr(30.0)


def clipped(x):
    return tl.minimum(x, CAP)


def score(s):
    return clipped(s)


def kernel(x, y):
    tl.store(y, score(tl.load(x)))
"""
    )


def test_mistakes_of_the_compiler_are_told() -> None:
    with pytest.raises(KeyError, match="no template called attention"):
        specialise(["attention.forward"], {})
    with pytest.raises(KeyError, match="no function forward in the template attention_forward"):
        specialise(["attention_forward.forward"], {})
    with pytest.raises(ValueError, match=r"template\.function, and not attention_forward"):
        specialise(["attention_forward"], {})
    with pytest.raises(ValueError, match="no constant CAUSL in"):
        specialise([FORWARD], {"CAUSL": True})
    with pytest.raises(KeyError, match="scores is replaced, but not called by attention_forward"):
        specialise([FORWARD], {}, {"scores": "def scores(): ..."})
    with pytest.raises(ValueError, match="what replaces score takes 1 arguments, and its callers pass 6"):
        specialise([FORWARD], {}, {"score": "def score(s):\n    return s\n"})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    tl.store(x, [i for i in range(3)])", "no ListComp"),
        ("    with x:\n        pass", "no With"),
        ("    N = 3\n    tl.store(x, N)", "sets N, which is a constant"),
        ("    a = 1; tl.store(x, a)", "a statement a line"),
    ],
)
def test_a_template_out_of_the_dialect_is_told(small: Callable[..., str], body: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        small(f"def kernel(x, N: tl.constexpr):\n{body}\n", {"N": 2})
