"""What follows from a fault is not told beside it: these specs have as many errors as faults."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

NET = "model Net: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n{}\n}}\n"
"""A model of which only the lines of its body are written below."""


def told(text: str) -> list[tuple[int, str]]:
    """The lines and codes of all errors; the first line of `text` is line 1."""
    found = analyse(Source("n.dlspec", f"dlspec 1\n{text}")).diagnostics
    return [(d.span.line - 1, d.code) for d in found if d.severity == "error"]


def in_net(lines: str) -> str:
    return NET.format(lines)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("w = 8 +\nv = 8\n" + in_net("Linear(v) -> Linear(w)"), [(1, "missing-value")]),
        ("w = 8 *\nf(x) = x\n" + in_net("Linear(w) -> f"), [(1, "missing-value")]),
        (in_net("h = relu *\ng = relu\nh -> g"), [(2, "missing-value")]),
        (in_net("relu +\na: Linear(9) -> Linear(8)"), [(2, "missing-value")]),
        (in_net("a: Linear(8) +\nb: Linear(8)"), [(2, "unfinished-line")]),
        (in_net("h = relu *\nh"), [(2, "missing-value")]),
    ],
)
def test_a_sign_at_the_end_of_a_line(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


WITH_MEMORY = "model Net: (x: [B, T, 8], mem: [B, S, 8]) -> (y: [B, T, 8]) {{\n{}\n}}\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (in_net("Linear(8, innit = zeros)"), [(2, "unknown-option")]),
        (in_net("Linear(8, device = cuda)"), [(2, "unknown-option")]),
        (in_net("Linear(8, act = foo(3))"), [(2, "unknown-option")]),
        (in_net("gelu(aproximate = tanh)"), [(2, "unknown-option")]),
        (in_net("Linear(8, bais = flase)"), [(2, "unknown-option"), (2, "unknown-name")]),
        (
            "model N: (x: [B, 8, T]) -> (y: [B, 8, T]) {\nConv1d(8, 3, pading = same)\n}\n",
            [(2, "unknown-option")],
        ),
        (
            "block A(k) { Linear(k) -> Linear(8) }\n" + in_net("A(kk = 3, foo = bar)"),
            [(3, "unknown-option"), (3, "unknown-option")],
        ),
    ],
)
def test_the_value_of_an_option_that_there_is_not(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (WITH_MEMORY.format("x -> CrossAttention(2, memry = mem)"), [(2, "unknown-option")]),
        (WITH_MEMORY.format("x -> CrossAttention(2)"), [(2, "missing-option")]),
        (
            WITH_MEMORY.format("x -> Linear(8) as unused\nunused -> Linear(8) as h\nx -> CrossAttention(2)"),
            [(1, "unused-name"), (3, "unused-name"), (4, "missing-option")],
        ),
        (in_net("m = x > 0\nSelfAttention(2, maks = m)"), [(3, "unknown-option")]),
        (in_net("LSTM(8) as _, _, s\nLSTM(8, stat = s)"), [(3, "unknown-option")]),
        (in_net("n = LayerNorm\nresidual(pree = n) { Linear(8) }"), [(3, "unknown-option")]),
        (
            "block A(x: [B, T, D], mem: [B, T, D]) { x + mem }\n".replace("A(", "A: (")
            + in_net("Linear(8) as m\nA(memm = m)"),
            [(4, "unknown-option")],
        ),
    ],
)
def test_a_value_handed_to_an_option_that_there_is_not_is_used(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


def test_a_misspelt_index_is_an_index_all_the_same() -> None:
    text = in_net("repeat(2, idx = i) { Linear(8 + i - i) }\nrepet(2, idx = i) { Linear(8 + i - i) }")
    assert told(text) == [(2, "unknown-option"), (3, "unknown-function")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (in_net("[Linear(8), Linear(8)] -> conct -> Linear(8)"), [(2, "unknown-name")]),
        (in_net("split(2) -> concatt"), [(2, "unknown-name")]),
        (in_net("[Linear(4), Linear(4)] -> conct(axis = 2)"), [(2, "unknown-function")]),
        (in_net("[Linear(8), Linear(8)] -> Liner(8)"), [(2, "unknown-layer"), (2, "lost-value")]),
        (in_net("Linear(8) -> split(2)"), [(2, "lost-value")]),
        (in_net("Linear(8) -> [relu, tanh]"), [(2, "lost-value")]),
    ],
)
def test_several_values_that_nothing_joins(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


CAP = "cap(x, limit) = limit * tanh(x / limit)\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (CAP + in_net("cap(30)"), [(3, "missing-option")]),
        (CAP + in_net("cap(limt = 30)"), [(3, "unknown-option")]),
        (
            CAP + in_net("Linear(8) as h\nLinear(8)\ncap(h, limt = 30)"),
            [(5, "lost-value"), (5, "unknown-option")],
        ),
        ("f(x, k) = x\n" + in_net("f(k = 3)"), [(1, "unused-name")]),
        ("f(x, k = 3, j) = x * k * j\n" + in_net("f(j = 2)"), [(1, "wrong-arguments")]),
    ],
)
def test_a_function_that_is_called_wrongly_may_take_what_flows(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("block A(n) { n }\ndefault A(n = A)\n" + in_net("A"), [(2, "missing-option")]),
        ("block A(n) { n -> Linear(8) }\n" + in_net("A(3)"), [(1, "number-as-stage")]),
        ("block A(n) { n }\n" + in_net("A(3)"), [(1, "number-as-stage")]),
    ],
)
def test_a_number_where_a_block_wants_a_flow(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


def test_a_number_for_a_flow_is_shown_in_the_call() -> None:
    (found,) = analyse(Source("n.dlspec", "dlspec 1\nblock A(n) { n -> Linear(8) }\n" + in_net("A(3)"))).diagnostics
    assert [(span.text, label) for span, label in found.labels] == [("3", "`n` is given this")]


RECIPE = """model Digits: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {{
flatten -> Linear(10)
}}
train Digits {{
data = digits
loss = cross_entropy(logits, data.label)
optimizer = AdamW(lr = 1)
steps = 3
batch = 3
{}
}}
"""


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (RECIPE.format("optimizer.lr = 3"), [(10, "wrong-sign")]),
        (in_net("a: Linear(8)\na.bias = false\nrelu"), [(3, "wrong-sign")]),
    ],
)
def test_an_option_given_by_a_path(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


def test_what_is_worked_out_with_a_faulty_value_is_no_flow() -> None:
    lines = "real = foo != 0\nlengths = real -> sum(over = 1)\nLSTM(8, lengths = lengths)"
    assert told(in_net(lines)) == [(2, "unknown-name")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("w = 1e999\n" + in_net("Linear(w)"), [(1, "wrong-number")]),
        ("w = 08\n" + in_net("Linear(w + 1)"), [(1, "wrong-number"), (2, "shape-mismatch")]),
        ("model Net: (x: [B, ...]) -> (y: [B, 8]) { relu }\n", [(1, "foreign-sign")]),
        ("default repeat(index = i)\n" + in_net("repeat(2) { Linear(8) }"), [(1, "empty-default")]),
        ("block A(n) { Linear(n) -> Linear(8) }\n" + in_net("A[8]"), [(3, "foreign-index")]),
        (in_net("y = Linear(8)(x)\nreturn y"), [(2, "foreign-call"), (3, "foreign-word")]),
    ],
)
def test_what_nobody_knows_for_a_fault_is_no_second_one(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


def test_a_flow_shared_by_accident_is_told_once_in_each_repeat() -> None:
    lines = "f = Linear(8)\nrepeat(2) { f -> relu -> f }\nrepeat(2) {\nf\nf\n}"
    assert told(in_net(lines)) == [(3, "shared-by-accident"), (5, "shared-by-accident")]


@pytest.mark.parametrize("number", ["1e-9999999", "0.1e-99999999", "0E-99999999", "0e99999999"])
def test_a_number_of_too_many_places_is_refused_at_once(number: str) -> None:
    assert told(f"w = {number}\n" + in_net("Dropout(w)")) == [(1, "wrong-number")]


@pytest.mark.parametrize(
    ("first", "operation", "faults"),
    [
        ("2", "{0} * {0}", [(11, "no-value")]),  # 2 ^ 1024
        ("2", "max({0}, {0} - 1) * {0}", [(11, "no-value")]),
        ("0.3", "{0} * {0}", []),
        ("0.5", "{0} * {0} / {0} * {0} / {0}", []),
    ],
)
def test_constants_that_grow_from_line_to_line_have_an_end(
    first: str, operation: str, faults: list[tuple[int, str]]
) -> None:
    lines = [f"c0 = {first}", *(f"c{i} = {operation.format(f'c{i - 1}')}" for i in range(1, 40))]
    assert told("\n".join(lines) + "\n" + in_net("Dropout(c39)")) == faults


TWO = "model Net: (x: [B, T, 8]) -> (u: [B, T, 8], y: [B, T, 8]) {{\n{}\n}}\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (in_net("n = toens > 0 -> sum(over = -1)\nLSTM(8, lengths = n) as _, last\nx + last"), [(2, "unknown-name")]),
        (
            in_net("Linear(8) as one\nf = x -> Liner(8)\none -> f as _, last\nx + last"),
            [(3, "unknown-layer")],
        ),
        (in_net("m = x > 0\nattn = SelfAttention(2, mask = m)\nrelu"), [(3, "unused-name")]),
        (
            TWO.format("Linear(8) as u\nrelu as mea\nsample_normal(mean, u) as y").replace("(u:", "(mean:"),
            [(1, "missing-output")],
        ),
        (RECIPE.replace("(image:", "(imae:").replace("flatten", "image -> flatten").format(""), [(2, "unknown-name")]),
    ],
)
def test_what_a_missing_value_brings_with_it(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(
    ("text", "line", "edit"),
    [
        ("widht = 8\n" + in_net("Linear(width) -> Linear(width)\nLinear(width)"), 3, "width"),
        ("block Doubel { Linear(8) -> Linear(8) }\n" + in_net("Double -> Double"), 3, "Double"),
        ("block A(widht) { Linear(width) -> Linear(width) -> Linear(8) }\n" + in_net("A(3)"), 1, "width"),
        (in_net("Linear(8) as ahead\nahed + ahed"), 3, "ahed"),
    ],
)
def test_a_name_that_is_misspelt_where_it_is_given(text: str, line: int, edit: str) -> None:
    (found,) = [d for d in analyse(Source("n.dlspec", f"dlspec 1\n{text}")).diagnostics if d.severity == "error"]
    (fix,) = found.fixes
    mended = f"dlspec 1\n{text}"[: fix.span.start] + fix.text + f"dlspec 1\n{text}"[fix.span.end :]
    assert (found.span.line - 1, fix.text) == (line, edit)
    assert not [d for d in analyse(Source("n.dlspec", mended)).diagnostics if d.severity == "error"]
