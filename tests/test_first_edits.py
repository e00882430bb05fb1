"""The first edit of a finding mends it, and takes nothing with it that was right."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source

pytestmark = pytest.mark.no_torch

HEAD = "dlspec 1\nmodel N: (x: [B, 8]) -> (logits: [B, 4]) { head: Linear(4) }\n"
TRAIN = """train N {{
  data = table("a.csv", target = "c")
  loss = cross_entropy(logits, data.label)
  optimizer = {optimizer}
  epochs = 3
  batch = 8
}}
"""


def found_at(text: str, code: str) -> Diagnostic:
    (found,) = (d for d in analyse(Source("n.dlspec", text)).diagnostics if d.code == code)
    return found


def mended(text: str, found: Diagnostic) -> str:
    fix = found.fixes[0]
    return text[: fix.span.start] + fix.text + text[fix.span.end :]


@pytest.mark.parametrize("given", ["", "momentum = 0, "])
def test_the_momentum_that_nesterov_lacks_is_put_in_and_no_line_goes(given: str) -> None:
    text = HEAD + TRAIN.format(optimizer=f"SGD(lr = 0.1, {given}nesterov = true)")
    right = HEAD + TRAIN.format(optimizer="SGD(lr = 0.1, momentum = 0.9, nesterov = true)")
    assert mended(text, found_at(text, "conflict")) == right


def test_of_two_options_that_contradict_each_other_none_is_chosen() -> None:
    text = HEAD + TRAIN.format(optimizer="SGD(lr = 1, momentum = 0.9, nesterov = true, dampening = 0.5)")
    assert found_at(text, "conflict").fixes == ()


def test_what_a_phase_lacks_goes_inside_its_braces() -> None:
    phase = "  phase one {{\n{}    loss = cross_entropy(logits, data.label)\n{}  }}\n}}\n"
    train = TRAIN.format(optimizer="SGD(lr = 0.1)").replace("  loss = cross_entropy(logits, data.label)\n", "")[:-2]
    text = HEAD + train + phase.format("", "")
    after = mended(text, found_at(text, "missing-key"))
    assert after.startswith(HEAD + train + phase.format("", "")[:-6] + "    update = [")
    assert after.endswith("]\n  }\n}\n")


def test_a_call_with_something_left_to_fill_in_is_no_edit() -> None:
    block = "block L: (x: [B, D], m: [B, D]) -> [B, D] { x - m }\n"
    text = f"dlspec 1\n{block}model N: (x: [B, 8]) -> (y: [B, 8]) {{ Linear(8) -> L }}\n"
    assert found_at(text, "missing-input").fixes == ()


def test_a_file_is_offered_for_its_name_and_not_for_its_ending(tmp_path: Path) -> None:
    for name in ("one.dlspec", "blocks.dlspec"):
        (tmp_path / name).write_text("dlspec 1\n")

    def offered(name: str) -> list[str]:
        source = Source(str(tmp_path / "n.dlspec"), f'dlspec 1\nimport "{name}"\n')
        (found,) = analyse(source).diagnostics
        return [fix.text for fix in found.fixes]

    assert offered("nope.dlspec") == []
    assert offered("bloks.dlspec") == ['"blocks.dlspec"']


def test_a_name_is_changed_where_it_is_given_and_where_it_is_used() -> None:
    text = "dlspec 1\nblock Linear(n) {{ Linear(n) }}\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {{ {0}(4) -> {0}(8) }}\n"
    right = text.format("MyLinear").replace("block Linear", "block MyLinear")
    assert mended(text.format("Linear"), found_at(text.format("Linear"), "taken-name")) == right


def test_a_body_that_gives_a_name_anew_keeps_its_own() -> None:
    text = "dlspec 1\n{0} = 3\nmodel A: (x: [B, 8]) -> (y: [B, 3]) {{ Linear({0}) }}\n"
    own = "model C: (x: [B, 8]) -> (y: [B, 8]) {{ Linear(8) as {0}\n  {0} -> relu }}\n"
    wrong = text.format("lambda") + own.format("lambda")
    found = next(d for d in analyse(Source("n.dlspec", wrong)).diagnostics if d.code == "taken-name")
    assert mended(wrong, found) == text.format("lambda_") + own.format("lambda")


def test_the_uses_of_a_reserved_word_are_told_with_it() -> None:
    text = "dlspec 1\nblock L({0}) {{ Linear({0}) }}\nmodel N: (x: [B, 8]) -> (y: [B, 4]) {{ L({0} = 4) }}\n"
    found = found_at(text.format("phase"), "reserved-word")
    assert mended(text.format("phase"), found) == text.format("phase_")


def test_of_a_phase_that_may_update_several_modules_none_is_chosen() -> None:
    head = HEAD.replace("head: Linear(4)", "body: Linear(4) -> head: Linear(4)")
    train = TRAIN.format(optimizer="SGD(lr = 0.1)").replace("  loss = cross_entropy(logits, data.label)\n", "")[:-2]
    found = found_at(f"{head}{train}  phase one {{ loss = cross_entropy(logits, data.label) }}\n}}\n", "missing-key")
    assert found.fixes == ()
    assert found.help.endswith("the modules of `N` are `body`, `head`")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("Linear(0) -> relu", "wrong-value"),
        ("Linear(0.5) -> Linear(4)", "wrong-value"),
        ("Linear() -> Linear(4)", "missing-option"),
        ("Dropout(1.2) -> Linear(4)", "wrong-value"),
        ('relu -> Linear(1e9)\n  Linear(2) -> Linear("many") -> Linear(4)', "wrong-value"),
        ('GroupNorm("many") -> Linear(4)', "wrong-value"),
    ],
)
def test_a_number_that_nothing_tells_is_not_made_up(line: str, code: str) -> None:
    text = f"dlspec 1\nmodel N: (x: [B, 8]) -> (logits: [B, 4]) {{\n  {line}\n}}\n"
    assert found_at(text, code).fixes == ()


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("nn.Sequential(nn.Linear(8, 16, bias = false), nn.ReLU())", "Linear(16, bias = false) -> relu"),
        ('Dense(16, activation = "relu", use_bias = false)', "Linear(16, bias = false) -> relu"),
        ("nn.ReLU(inplace = true)", "relu"),
        ("F.relu(x)", "x -> relu"),
        ("Linear(16.5)", "Linear(16)"),
        ("sqrt(2)", "identity * sqrt(2)"),
        ("max(0)", "max(identity, 0)"),
    ],
)
def test_a_call_of_another_tool_is_mended_whole(line: str, right: str) -> None:
    before, after = (
        f"dlspec 1\nmodel N: (x: [B, 8]) -> (y: [B, 4]) {{\n  {one}\n  Linear(4)\n}}\n" for one in (line, right)
    )
    found = [d for d in analyse(Source("n.dlspec", before)).diagnostics if d.severity == "error"]
    assert mended(before, found[0]) == after


def test_a_name_given_twice_gets_one_that_nothing_has() -> None:
    text = HEAD + "width = 1\nwidth2 = 2\nwidth = 3\n"
    assert mended(text, found_at(text, "repeated-name")) == HEAD + "width = 1\nwidth2 = 2\nwidth3 = 3\n"


def test_an_augmentation_on_a_line_of_its_own_goes_behind_the_data() -> None:
    text = HEAD.replace("[B, 8]", "[B, 1, 8, 8]").replace("head:", "flatten -> head:") + (
        TRAIN.format(optimizer="SGD(lr = 0.1)")
        .replace('table("a.csv", target = "c")', "digits")
        .replace("  batch", "  augment = [random_flip]\n  batch")
    )
    right = text.replace("  augment = [random_flip]\n", "").replace("= digits", "= digits -> random_flip")
    assert mended(text, found_at(text, "unknown-key")) == right


def test_the_fields_of_a_dictionary_are_renamed_where_they_are_used() -> None:
    model = "model N: (x: [B, 8]) -> (y: [B, 8]) {{\n  repeat({0}depth) {{ Linear({0}width) }}\n}}\n"
    text = "dlspec 1\nconfig = {width = 8, depth = 3}\n" + model.format("config.")
    assert mended(text, found_at(text, "foreign-dictionary")) == "dlspec 1\nwidth = 8\ndepth = 3\n" + model.format("")
