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
        ("model N: (x: [B, 8, T]) -> (y: [B, 8, T]) {\nConv1d(8, kerne = 1, 1)\n}\n", [(2, "unknown-option")]),
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


TWO_INPUTS = "model Net: (x: [B, 8], {}: [B, 8]) -> (y: [B, 8]) {{\n{}\n}}\n"
CODE = "model Net: (x: [B, 8]) -> ({}: [B, 8], y: [B, 8]) {{\nLinear(8) as {}\nrelu as y\n}}\n"
EXPORT = 'export Net {\nonnx("n.onnx", outputs = [code])\n}\n'


@pytest.mark.parametrize(
    ("text", "line", "edit"),
    [
        ("block A(striide) { Linear(stride) -> Linear(8) }\n" + in_net("A(stride = 3)"), 1, "stride"),
        (
            "block A(inenr) { inner: inner -> Linear(8) }\n" + in_net("A(inner = PReLU) -> A(inner = PReLU)"),
            3,
            "inner",
        ),
        ("cap(x, liimt) = limit * tanh(x / limit)\n" + in_net("Linear(8) -> cap(limit = 3)"), 1, "limit"),
        ("block Desne { Linear(8) }\n" + in_net("Dense -> Dense"), 3, "Dense"),
        ("with = 8\n" + in_net("Linear(width)"), 1, "width"),
        ("with = 8\n" + in_net("Linear(width) -> Linear(width)"), 1, "width"),
        ("latnet = 8\nmodel Net: (x: [B, latent]) -> (y: [B, latent]) { relu -> Linear(latent) }\n", 2, "latent"),
        (in_net("projct = Linear(8)\nproject -> project"), 3, "project"),
        (TWO_INPUTS.format("source", "m = sourec > 0\nx * m + sourec"), 2, "sourec"),
        (TWO_INPUTS.format("sourec", "near = source -> relu\nx + near + source"), 2, "source"),
        (TWO_INPUTS.format("sourec", "near = source -> relu\nx + near"), 2, "sourec"),
        (CODE.format("cdoe", "code") + EXPORT, 1, "code"),
        (CODE.format("code", "cdoe") + EXPORT, 1, "code"),
        ("width = 8\nmodel Net: (x: [B, 8]) -> (y: [B, 8], z: [B, 8]) { relu as y\ntanh as zz }\n", 2, "z"),
    ],
)
def test_all_that_a_misspelt_name_brings_is_told_with_it(text: str, line: int, edit: str) -> None:
    (found,) = [d for d in analyse(Source("n.dlspec", f"dlspec 1\n{text}")).diagnostics if d.severity == "error"]
    fix = found.fixes[0]
    mended = f"dlspec 1\n{text}"[: fix.span.start] + fix.text + f"dlspec 1\n{text}"[fix.span.end :]
    assert (found.span.line - 1, fix.text) == (line, edit)
    assert not [d for d in analyse(Source("n.dlspec", mended)).diagnostics if d.severity == "error"]


VIEWS = """model Views: (view1: [B, 3, H, W], view2: [B, 3, H, W]) -> (query: [B, 8], key: [B, 8]) {
view1 -> encoder: { mean(over = [H, W]) -> Linear(8) } as query
view2 -> momentum_copy(encoder, 0.99) as key
}
train Views {
data = images("pictures/", size = 32) -> two_views(random_flip)
loss = info_nce(query, key, queue = 64, temperature = 0.2)
optimizer = SGD(lr = 1)
steps = 3
batch = 4
}
"""


@pytest.mark.parametrize("word", ["view1", "view2"])
def test_an_input_that_is_misspelt_for_the_body_and_the_data(word: str) -> None:
    assert told(VIEWS) == []
    assert [code for _, code in told(VIEWS.replace(f"{word}:", f"vi{word[1:]}:"))] == ["unknown-name"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            in_net("a: Linear(8)\nLinear(vocb, weight = a.weigth)"),
            [(3, "unknown-name"), (3, "unknown-weight")],
        ),
        (
            in_net("a: Linear(8)\nConv2d(4, 3)\nb: Linear(8, weight = a.weigth)"),
            [(3, "shape-mismatch"), (4, "unknown-weight")],
        ),
        (
            "model Net: (x: [B, T <= contxt]) -> (y: [B, T, wdith]) { Positions(8, 8) }\n",
            [(1, "unknown-name"), (1, "unknown-name")],
        ),
        (
            in_net("a: Linear(vocb) -> Linear(8)\nLinear(8, weight = a.weigth)"),
            [(2, "unknown-name"), (3, "unknown-weight")],
        ),
        (in_net("a: Linear(vocb) -> Linear(8)\nLinear(8, weight = a.weight)"), [(2, "unknown-name")]),
        (in_net("linear: Liner(8)\nLiner(8)"), [(2, "unknown-layer"), (3, "unknown-layer")]),
        ("block Reluu { Linear(8) }\n" + in_net("rellu\nrellu"), [(3, "unknown-name"), (4, "unknown-name")]),
        (in_net("h = Liner(8)\nrelu"), [(2, "unused-name"), (2, "unknown-layer")]),
    ],
)
def test_one_fault_does_not_hide_another_of_the_line(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            RECIPE.format("metrics = [accuracy(logist, data.label)]\nfreeze = [linaer]").replace(
                "n Digits", "n Digist"
            ),
            [(4, "unknown-name"), (10, "unknown-name"), (11, "unknown-module")],
        ),
        (RECIPE.format("freeze = [head]").replace("train Digits", "train Other"), [(4, "unknown-name")]),
        (
            RECIPE.format("").replace("AdamW(lr = 1)", "SGD(lr = 1, momentm = 0.9, nesterov = true)"),
            [(7, "unknown-option")],
        ),
        (
            RECIPE.format('metrics = [accuracy(logist, data.label)]\nearly_stop = patience(3, on = "validatin.loss")'),
            [(10, "unknown-name"), (11, "unknown-name")],
        ),
        (
            RECIPE.format(
                'metrics = [acuracy(logits, data.label)]\nearly_stop = patience(3, on = "validation.accuracy")'
            ),
            [(10, "unknown-name")],
        ),
        (
            RECIPE.replace("(image:", "(imgae:").replace("flatten", "iamge -> flatten").format(""),
            [(2, "unknown-name"), (5, "unbound-input")],
        ),
    ],
)
def test_a_recipe_is_read_though_its_model_or_a_metric_is_misspelt(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("block Mpl(hidden) { Linear(hidden) -> Linear(8) }\n" + in_net("Mlp(hidden = 8)"), [(3, "unknown-layer")]),
        (
            "block Mpl(hidden) { Linear(hidden) -> Linear(8) }\n" + in_net("Mlp(hiden = 8)"),
            [(3, "unknown-layer"), (3, "unknown-option")],
        ),
        (
            "block Mpl(hidden) { Linear(hidden) -> Linear(8) }\n"
            + in_net("Mlp(hidden = 8) -> Mlp(hidden = 9) -> Mlp(hiden = 9)"),
            [(3, "unknown-layer"), (3, "unknown-option")],
        ),
        (in_net("Linaer(8, bais = true)"), [(2, "unknown-layer"), (2, "unknown-option")]),
        (in_net("Linaer(8, bias = true)"), [(2, "unknown-layer")]),
        (in_net("Dense(units = 8, use_bias = true)"), [(2, "unknown-layer")]),  # of another tool, with its options
        (in_net('rearange("b t (h d) -> b t h d", d = 4) -> reshape([-1, 8])'), [(2, "unknown-function")]),
        (
            "block Idle(x: [B, T, D]) { Linaer(8, bais = true) }\n".replace("Idle(", "Idle: (") + in_net("relu"),
            [(1, "unknown-layer"), (1, "unknown-option")],
        ),
    ],
)
def test_options_of_what_is_misspelt_itself(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults


def test_what_a_flow_names_that_is_no_value_is_used() -> None:
    text = WITH_MEMORY.format(
        "far = mem -> Linear(8)\nnear = mm -> repeat(2) { CrossAttention(2, memory = far) }\n"
        "x -> CrossAttention(2, memory = near)"
    )
    assert told(text) == [(3, "unknown-name")]
