"""Whether data fits a model, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import arrays

from dlspec.runtime.data import Data, Field, Message, Split, check_data, open_data
from dlspec.runtime.settings import Settings, read_settings


def settings(repo: Path, name: str, **changes: Any) -> Settings:
    return dataclasses.replace(read_settings(json.loads((repo / f"tests/golden/{name}.json").read_text())), **changes)


def data_of(**fields: Field) -> Data:
    class Nothing(Split):
        def __len__(self) -> int:
            return 0

        def batch(self, epoch: int, ids: torch.Tensor) -> dict[str, torch.Tensor]:
            return {}

    return Data(Nothing(), None, fields)


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.severity, message.text) for message in messages]


IMAGE, LABEL = Field("float", (1, 8, 8)), Field("int", (), 10)


def test_golden_digits_fit(repo: Path) -> None:
    data = open_data({"source": "digits", "options": {}}, base=Path(), seed=0)
    assert check_data(settings(repo, "digits"), data) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"image": Field("float", (1, 28, 28)), "label": LABEL},
            "the input image is float[1, 8, 8], the field image is float[1, 28, 28]: 8 against 28",
        ),
        ({"image": Field("float", (64,)), "label": LABEL}, "3 dims against 1"),
        ({"image": Field("int", (1, 8, 8)), "label": LABEL}, "the field image is int[1, 8, 8]"),
        ({"picture": IMAGE, "label": LABEL}, "the data has no field image, which the input image of the model needs"),
        ({"image": IMAGE}, "the data has no field label, which the loss needs"),
        ({"image": IMAGE, "label": Field("float", ())}, "classes are ints, and the field label is float"),
        ({"image": IMAGE, "label": Field("int", ())}, "the field label has negative numbers"),
        ({"image": IMAGE, "label": Field("int", (), 1)}, "has one class only"),
        (
            {"image": IMAGE, "label": Field("int", (), 9)},
            "the output logits is 10 wide, and the field label has 9 classes (0 to 8)",
        ),
        ({"image": IMAGE, "label": Field("int", (), 11)}, "11 classes (0 to 10)"),
    ],
)
def test_what_does_not_fit_digits(repo: Path, fields: dict[str, Field], message: str) -> None:
    found = texts(check_data(settings(repo, "digits"), data_of(**fields)))
    assert any(severity == "error" and message in text for severity, text in found), found


@pytest.mark.parametrize(
    ("source", "dims", "help"),
    [
        ("images", (1, 8, 9), "write `size = 8`"),
        ("images", (3, 8, 8), "let the model take image: [B, 3, 8, 8]"),
        ("arrays", (1, 8, 9), "let the model take image: [B, 1, 8, 9]"),
    ],
)
def test_how_another_size_is_mended(repo: Path, source: str, dims: tuple[int, ...], help: str) -> None:
    known = settings(repo, "digits", data={"source": source, "options": {}})
    (found,) = check_data(known, data_of(image=Field("float", dims), label=LABEL))
    assert found.help == help


def test_classes_of_a_table_that_are_numbers(repo: Path) -> None:
    table = {"source": "table", "options": {"target": "kind"}}
    known = settings(repo, "digits", data=table)
    assert known.loss.classes is not None
    loss = replace(known.loss, arguments={}, classes=replace(known.loss.classes, field="target"))
    known = replace(known, phases=(replace(known.phases[0], loss=loss),), metrics=None)
    (found,) = check_data(known, data_of(image=IMAGE, target=Field("float", ())))
    assert found.help == "write `classes = 10`"


@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
@pytest.mark.parametrize("case", ["one 1", "several", "a column"])
def test_labels_with_an_axis_too_many(repo: Path, tmp_path: Path, kind: str, case: str) -> None:
    """What is said to store in place of them fits."""
    numbers = np.arange(40) % 10
    label = {"one 1": np.eye(10)[numbers], "several": np.eye(10)[numbers] + np.eye(10)[0], "a column": numbers[:, None]}
    stored = label[case].clip(0, 1 if case != "a column" else 9).astype(kind)
    np.savez(tmp_path / "a.npz", image=np.zeros((40, 1, 8, 8), np.float32), label=stored)
    known = settings(repo, "digits", data={"source": "arrays", "options": {"file": "a.npz"}})
    found = check_data(known, arrays(tmp_path))
    assert {message.severity for message in found} == {"error"}
    help = found[0].help
    if case == "several":
        assert "`binary_cross_entropy_with_logits`" in help
        return
    said = help.removeprefix("store label")
    cast = ".astype(numpy.int64)" if kind != "int64" else ""
    assert said == (".argmax(1)" if case == "one 1" else f"[:, 0]{cast}")
    better = stored.argmax(1) if case == "one 1" else numbers
    np.savez(tmp_path / "a.npz", image=np.zeros((40, 1, 8, 8), np.float32), label=better)
    assert check_data(known, arrays(tmp_path)) == []


def test_every_misfit_is_told_at_once(repo: Path) -> None:
    found = texts(check_data(settings(repo, "digits"), data_of(image=Field("int", (2, 9)), label=Field("int", (), 3))))
    assert len(found) == 2
    unbound = check_data(settings(repo, "digits", bind={}), data_of(image=IMAGE, label=LABEL))
    assert texts(unbound) == [("error", "nothing in the data is bound to the input image of the model")]


@pytest.mark.parametrize(
    ("window", "vocabulary", "found"),
    [
        (1024, 50_257, []),
        (
            1025,
            50_257,
            ["error: the input tokens is int[T], the field tokens is int[1025]: T is 1,024 at most, and here 1,025"],
        ),
        (64, 50_258, ["error: the output logits is 50,257 wide, and the tokenizer has 50,258 tokens"]),
        (64, 65, ["warning: the output logits is 50,257 wide, and the tokenizer has 65 tokens"]),
    ],
)
def test_windows_and_vocabularies(repo: Path, window: int, vocabulary: int, found: list[str]) -> None:
    from dlspec.runtime.text import CharacterTokenizer

    field = Field("int", (window,), vocabulary)
    data = dataclasses.replace(
        data_of(tokens=field, targets=field), tokenizer=CharacterTokenizer("".join(map(chr, range(vocabulary))))
    )
    assert [f"{one.severity}: {one.text}" for one in check_data(settings(repo, "gpt"), data)] == found


def test_ready_tokens_only_need_room(repo: Path) -> None:
    given_tokens = settings(repo, "gpt", data={"source": "tokens"})
    for classes, count in ((50_000, 0), (50_257, 0), (50_258, 1)):
        field = Field("int", (64,), classes)
        found = texts(check_data(given_tokens, data_of(tokens=field, targets=field)))
        assert len(found) == count, found
    assert "the largest token of the data is 50,257" in found[0][1]


@pytest.mark.parametrize(
    ("dims", "sizes", "problem"),
    [
        ((3, "16 * H", "16 * W"), (3, 32, 48), None),
        ((3, "16 * H", "16 * W"), (3, 33, 48), "no H makes 16 * H equal to 33"),
        (("T", "T"), (5, 5), None),
        (("T", "T"), (5, 6), "T is 5, and here 6"),
        (("T", "2 * T + 1"), (5, 11), None),
        (("T", "2 * T + 1"), (5, 12), "2 * T + 1 is 11, and here 12"),
        (("H // 2", "H"), (6, 13), None),
        (("H // 2", "H"), (6, 14), "H // 2 is 7, and here 6"),
        (("H - 1", "H + W"), (6, 9), None),
        (("H - 1", "H + W", "2 * W"), (6, 9, 5), "2 * W is 4, and here 5"),
    ],
)
def test_symbolic_dims(repo: Path, dims: tuple[Any, ...], sizes: tuple[int, ...], problem: str | None) -> None:
    base = settings(repo, "digits")
    port = dataclasses.replace(base.inputs[0], dims=("B", *dims))
    data = data_of(image=Field("float", sizes), label=LABEL)
    found = texts(check_data(dataclasses.replace(base, inputs=(port,)), data))
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1 and problem in found[0][1]


@pytest.mark.parametrize(("ignore", "fits"), [(255, True), (None, False), (9, False), (3, False)])
def test_a_largest_number_that_the_loss_ignores_is_no_class(
    repo: Path, tmp_path: Path, ignore: int | None, fits: bool
) -> None:
    """Masks mark what is of no class by 255."""
    np.savez(tmp_path / "a.npz", image=np.zeros((4, 1, 8, 8), np.float32), label=np.array([0, 9, 255, 4]))
    known = settings(repo, "digits")
    phase = replace(known.phases[0], loss=replace(known.loss, ignore=ignore))
    messages = check_data(replace(known, phases=(phase,)), arrays(tmp_path, split=[1, 0]))
    facts = "the output logits is 10 wide, and the field label has 256 classes (0 to 255)"
    assert [message.text for message in messages] == ([] if fits else [facts])


@pytest.mark.parametrize(
    ("shape", "fits"), [((2, 3), True), ((2, 1, 3), True), ((3, 2), False), ((6,), False), ((), False)]
)
def test_targets_that_are_compared_entry_by_entry_have_the_outputs_shape(
    repo: Path, shape: tuple[int, ...], fits: bool
) -> None:
    """A permuted shape has as many entries, and would be compared in the wrong order."""
    known = settings(repo, "digits")
    measure = replace(known.loss, classes=None, alike=(("logits", "target"),))
    outputs = (replace(known.outputs[0], dims=("B", 2, 3)),)
    phase = replace(known.phases[0], loss=replace(measure, arguments={}))
    known = replace(known, phases=(phase,), outputs=outputs, metrics=None)
    found = check_data(known, data_of(image=IMAGE, target=Field("float", shape)))
    assert (found == []) == fits, texts(found)
