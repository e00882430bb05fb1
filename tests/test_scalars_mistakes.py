"""What a function of a file may not say: every message, and that its fix cures it."""

from __future__ import annotations

import pytest
from scalar_cases import functions, mistakes

from dlspec.compiler.depth import room_for_depth
from dlspec.compiler.scalars import check_score, match_arguments
from dlspec.compiler.scalars.expression import Parameter
from dlspec.compiler.semantics.number import number
from dlspec.compiler.semantics.report import Report
from dlspec.grammar import Source, parse, tree
from dlspec.grammar.diagnostics import Diagnostic

pytestmark = pytest.mark.no_torch


def fixed(text: str, found: Diagnostic) -> str:
    """The lines with the first fix applied."""
    fix = found.fixes[0]
    whole = fix.span.source.text
    return (whole[: fix.span.start] + fix.text + whole[fix.span.end :]).split("\n", 1)[1].rstrip("\n")


# Lines with a mistake, and what its fix makes of them. The messages stand in mistakes/functions.md.
FIXES = [
    ("f(alpha) = 2 * alhpa", "f(alpha) = 2 * alpha"),
    ("width = 8\nf(x) = x * widht", "width = 8\nf(x) = x * width"),
    ("f(x) = identity * x", "f(x) = x * x"),
    ("f(x) = x + exp", "f(x) = x + exp(x)"),
    ("f(x) = x * relu", "f(x) = x * relu(x)"),
    ("f(x) = epx(x)", "f(x) = exp(x)"),
    ("f(x) = sigmiod(x)", "f(x) = sigmoid(x)"),
    ("f(x) = torch.exp(x)", "f(x) = exp(x)"),
    ("f(x) = maximum(x, 0)", "f(x) = max(x, 0)"),
    ("f(x) = pow(x + 1, 2)", "f(x) = ((x + 1) ^ 2)"),
    ("f(x) = where(x > 0, x, 0)", "f(x) = (x if (x > 0) else 0)"),
    ("f(x) = torch.clamp(x, 0, 1)", "f(x) = min(max(x, 0), 1)"),
    ("sqr(x) = x ^ 2\nf(x) = srq(x)", "sqr(x) = x ^ 2\nf(x) = sqr(x)"),
    ("f(x) = x(2)", "f(x) = x * 2"),
    ("f(x) = x(x + 1)", "f(x) = x * (x + 1)"),
    ("f(x) = exp(x, 2)", "f(x) = exp(x)"),
    ("f(x) = x * exp()", "f(x) = x * exp(x)"),
    ("f(x) = max(x)", "f(x) = max(x, 0)"),
    ("f(x) = round_up(x)", "f(x) = round_up(x, 64)"),
    ("f(x) = max(x, min = 0)", "f(x) = max(x, 0)"),
    ("g(x, limit) = x * limit\nf(x) = g(x, limt = 2)", "g(x, limit) = x * limit\nf(x) = g(x, limit = 2)"),
    ("f(x) = leaky_relu(x, slop = 0.1)", "f(x) = leaky_relu(x, slope = 0.1)"),
    ("f(x) = [x]", "f(x) = (x)"),
    ("f(x) = x -> relu -> leaky_relu(0.2)", "f(x) = leaky_relu(relu(x), 0.2)"),
    ("f(x, y) = x ^ 2", "f(x) = x ^ 2"),
    ("f(s, h, x) = s ^ 2", "f(s, h) = s ^ 2"),
    ("f(a = 1, x) = x * a", "f(x, a = 1) = x * a"),
    ("f(x) = x if x > 0 else none", "f(x) = x if x > 0 else 0"),
    ("f(x) = fc: relu(x)", "f(x) = relu(x)"),
    ("f(x) = { relu(x) }", "f(x) = relu(x)"),
    ("f(x) = gelu(x, approximate = erf)", "f(x) = gelu(x, approximate = none)"),
    ("g(x) = x * 2\nf(x) = g(x, 2)", "g(x) = x * 2\nf(x) = g(x)"),
    ("g(x, a) = x * a\nf(x) = g(x, 1, a = 2)", "g(x, a) = x * a\nf(x) = g(x, 1)"),
    ("f(x) = 1 if x - 1 else 0", "f(x) = 1 if x - 1 != 0 else 0"),
    ("dim = 8\nf() = dim * 3", "dim = 8\nf = dim * 3"),
    ("f(x) = x * max", "f(x) = x * max(x, 0)"),
    ("f(x) = x * pi", "f(x) = x * 3.141592653589793"),
    ("f(x) = x if x > 0 else -inf", "f(x) = x if x > 0 else -1e30"),
    ("f(x) = 1 if x else 0", "f(x) = 1 if x != 0 else 0"),
]


@pytest.mark.parametrize(("text", "after"), FIXES, ids=[text for text, _ in FIXES])
def test_the_fix_makes_it_right(text: str, after: str) -> None:
    (found,) = mistakes(text)
    assert fixed(text, found) == after
    assert mistakes(after) == []


def test_all_mistakes_of_a_function_in_one_run() -> None:
    text = "f(x, y) = epx(x) + [1] + softmax(alhpa(3)) + max(x) + Linear(8)"
    codes = [d.code for d in mistakes(text)]
    assert codes.count("unused-name") == 0  # what is not understood may have been meant to use it
    assert sorted(codes) == sorted(
        [
            "unknown-function",
            "not-scalar",
            "not-scalar",
            "unknown-function",
            "wrong-arguments",
            "not-scalar",
        ]
    )


def test_a_function_with_a_mistake_is_not_reported_where_it_is_called() -> None:
    assert [d.span.line for d in mistakes("f(x) = g(x) + nothing_here\ng(x) = h(x)\nh(x) = epx(x)")] == [2, 4]


def test_scores_need_not_use_what_they_get() -> None:
    assert mistakes("f(s, q, k, h) = 2 * s\ng(s, k) = s ^ 2") == []
    assert [d.code for d in mistakes("f(x, q) = 2 * x")] == ["unused-name"]


def test_a_function_that_would_be_too_large_is_refused() -> None:
    lines = ["f0(x) = x * x", *(f"f{i}(x) = f{i - 1}(x) * f{i - 1}(x + 1)" for i in range(1, 40))]
    found = mistakes("\n".join(lines))
    assert [d.code for d in found] == ["too-deep"]
    assert found[0].message.startswith("`f10` is ") and "over 10,000" in found[0].message


def test_long_chains_of_functions() -> None:
    forward = [f"f{i}(x) = 1 + f{i + 1}(x)" for i in range(3000)]
    with room_for_depth():
        assert {d.code for d in mistakes("\n".join([*forward, "f3000(x) = x"]))} == {"too-deep"}
        assert mistakes("\n".join([*forward[:50], "f50(x) = x"])) == []


def test_deeply_nested_text() -> None:
    with room_for_depth():
        assert mistakes(f"f(x) = {'exp(' * 400}x{')' * 400}") == []


# --- where functions are used ---


def stage(text: str) -> tree.Stage:
    file, _ = parse(Source("use.dlspec", f"dlspec 1\nuse = {text}\n"))
    assert file is not None
    (item,) = file.items
    assert isinstance(item, tree.Constant) and isinstance(item.value, tree.Stage)
    return item.value


PARAMETERS = (Parameter("x"), Parameter("limit", number(30)), Parameter("slope"))


@pytest.mark.parametrize(
    ("text", "supplied", "given"),
    [
        ("cap(1, 2, 3)", (), {"x": "1", "limit": "2", "slope": "3"}),
        ("cap(1, slope = 3)", (), {"x": "1", "slope": "3"}),
        ("cap(slope = 3)", ("x",), {"slope": "3"}),
        ("cap(2, 3)", ("x",), {"limit": "2", "slope": "3"}),
    ],
)
def test_arguments_find_their_parameters(text: str, supplied: tuple[str, ...], given: dict[str, str]) -> None:
    report = Report()
    found = match_arguments(stage(text), PARAMETERS, report, supplied=supplied)
    assert found is not None and {name: flow.span.text for name, flow in found.items()} == given
    assert report.diagnostics == []


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("cap", "missing-option", "`cap` needs `slope`"),
        ("cap(x = 1, slope = 2)", "repeated-option", "`x` of `cap` is given by the place where it stands"),
        ("cap(1, 2, 3)", "too-many-arguments", "`cap` takes `limit`, `slope`, and this is one more"),
        ("cap(slpoe = 2)", "unknown-option", "`cap` has no parameter `slpoe`"),
    ],
)
def test_arguments_that_do_not_fit_a_stage(text: str, code: str, message: str) -> None:
    report = Report()
    assert match_arguments(stage(text), PARAMETERS, report, supplied=("x",)) is None
    assert [(d.code, d.message) for d in report.diagnostics] == [(code, message)]


@pytest.mark.parametrize(
    ("text", "help", "after"),
    [
        (
            "tilt(s, slope, q, k) = s - slope * (q - k)",
            "write `tilt(s, q, k, h, slope) = ...`",
            "tilt(s, q, k, h, slope) = s - slope * (q - k)",
        ),
        ("tilt(s) = 2 * s", "write `tilt(s, q, k, h) = ...`", "tilt(s, q, k, h) = 2 * s"),
        ("tilt(x, y) = x * y", "write `tilt(s, q, k, h, ...) = ...`", None),
    ],
)
def test_a_score_takes_s_q_k_h(text: str, help: str, after: str | None) -> None:
    found, report = functions(text)
    tilt = found.find("tilt")
    assert tilt is not None
    file, _ = parse(Source("f.dlspec", f"dlspec 1\n{text}\n"))
    assert file is not None and isinstance(file.items[0], tree.Function)
    assert not check_score(tilt, file.items[0], stage("tilt"), report)
    (diagnostic,) = report.diagnostics
    assert (diagnostic.code, diagnostic.help) == ("wrong-arguments", help)
    if after is not None:
        assert fixed(text, diagnostic) == after and mistakes(after) == []


def test_a_score_fits() -> None:
    found, report = functions("tilt(s, q, k, h, slope) = s - slope * (q - k)")
    tilt = found.find("tilt")
    assert tilt is not None and check_score(tilt, found.written["tilt"], stage("tilt"), report)
    assert report.diagnostics == []
