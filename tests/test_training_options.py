"""Every option of every class: a value that it does not take is refused, and so is an option that there is not."""

from __future__ import annotations

import pytest
from test_training_registry import EVERY, line_of, options, read_line

from dlspec.compiler.training.measure import Measure
from dlspec.grammar import Diagnostic, Source, parse, tree

pytestmark = pytest.mark.no_torch

NONSENSE = ['"?"', "0 - 1", "[]", "relu", "7.5", "[none, 2]"]
"""No option takes all of these."""


def arguments(folder: str, word: str) -> tuple[list[str], dict[str, str]]:
    """The inputs and the options of a class's example, as they are written."""
    kind = options(folder, word)
    source = Source("example.dlspec", f"dlspec 1\nx = {kind.example}\n")
    (constant,) = parse(source)[0].items
    assert isinstance(constant, tree.Constant) and isinstance(constant.value, tree.Stage)
    args = constant.value.args or ()
    inputs = len(kind.takes) if issubclass(kind, Measure) else 0
    named = {a.name.text: a.value.span.text for a in args if isinstance(a, tree.Keyword)}
    nameless = [a.span.text for a in args[inputs:] if not isinstance(a, tree.Keyword)]
    return [a.span.text for a in args[:inputs]], dict(zip(kind.options, nameless, strict=False)) | named


def with_options(folder: str, word: str, /, **changed: str) -> list[Diagnostic]:
    """What is said of a class's example with some options changed."""
    inputs, given = arguments(folder, word)
    texts = [*inputs, *(f"{name} = {value}" for name, value in {**given, **changed}.items())]
    return [d for d in read_line(folder, word, f"{word}({', '.join(texts)})") if d.severity != "note"]


OPTIONS = [(folder, word, option) for folder, word in EVERY for option in options(folder, word).options]


@pytest.mark.parametrize(("folder", "word", "option"), OPTIONS)
def test_a_value_that_it_does_not_take_is_refused(folder: str, word: str, option: str) -> None:
    refused = 0
    for value in NONSENSE:
        found = with_options(folder, word, **{option: value})
        for diagnostic in found:
            assert diagnostic.message and diagnostic.label
        said = " ".join(f"{d.message} {d.help} {d.span.text}" for d in found)
        refused += bool(found) and (option in said or value in said)
    assert refused >= 2, f"`{option}` of `{word}` takes nearly anything"


@pytest.mark.parametrize(("folder", "word"), EVERY)
def test_an_option_that_there_is_not_is_refused(folder: str, word: str) -> None:
    (found,) = with_options(folder, word, bananas="3")
    assert found.code == "unknown-option"
    assert (found.span.text == "bananas") == bool(options(folder, word).options)
    assert f"`{word}`" in found.message


MANY = [(folder, word) for folder, word in EVERY if len(options(folder, word).options) > 1]


@pytest.mark.parametrize(("folder", "word"), MANY)
def test_a_wrong_value_beside_an_option_that_there_is_not_is_told_too(folder: str, word: str) -> None:
    for option in options(folder, word).options:
        alone = {value: with_options(folder, word, **{option: value}) for value in NONSENSE}
        values = [value for value, found in alone.items() if [d.code for d in found] == ["wrong-value"]]
        for value in values[:1]:
            found = with_options(folder, word, **{option: value, "bananas": "3"})
            assert sorted(d.code for d in found) == ["unknown-option", "wrong-value"], option


@pytest.mark.parametrize(("folder", "word"), EVERY)
def test_an_option_may_not_stand_twice(folder: str, word: str) -> None:
    inputs, given = arguments(folder, word)
    if not given:
        return
    name, value = next(iter(given.items()))
    texts = [*inputs, *(f"{n} = {v}" for n, v in given.items()), f"{name} = {value}"]
    found = [d for d in read_line(folder, word, f"{word}({', '.join(texts)})") if d.severity != "note"]
    assert [d.code for d in found] == ["repeated-option"]


SPELT = [(folder, word) for folder, word in EVERY if options(folder, word).spellings]


@pytest.mark.parametrize(("folder", "word"), SPELT)
def test_what_other_tools_call_an_option_leads_to_one(folder: str, word: str) -> None:
    kind = options(folder, word)
    inputs, given = arguments(folder, word)
    for theirs, ours in kind.spellings.items():
        name = ours.split(" ")[0]
        if name not in kind.options:
            continue  # shared by a family of which this one has not all options
        assert theirs not in kind.options
        kept = {n: v for n, v in given.items() if n != name}
        value = "0.9" if "{}" in ours else given.get(name, "1")
        texts = [*inputs, *(f"{n} = {v}" for n, v in kept.items()), f"{theirs} = {value}"]
        found = read_line(folder, word, f"{word}({', '.join(texts)})")
        (unknown,) = [d for d in found if d.code == "unknown-option"]
        assert f"write `{ours.format(value)}`" in unknown.help
        (fix,) = unknown.fixes
        assert fix.text == ours.format(value)


def test_a_line_of_each_folder_is_read_as_it_is_written() -> None:
    for folder in {folder for folder, _ in EVERY}:
        word = next(w for f, w in EVERY if f == folder)
        assert options(folder, word).example in line_of(folder, word, options(folder, word).example)
