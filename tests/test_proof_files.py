"""What is refused of a file before it runs, and what an export leaves behind."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from proof_graphs import (
    DIGITS_META,
    digits_graph,
    flip_one_weight,
    proof_of,
    saved,
    trained_digits,
)
from torch import nn

from dlspec.runtime.errors import DiskFull, ProofFailed, Refused
from dlspec.runtime.export import check_onnx, staged, write_report


@pytest.fixture
def digits() -> nn.Module:
    return trained_digits()


# --- what a file says of itself


def version(model: onnx.ModelProto) -> None:
    model.ir_version = 14


def opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 22


def domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def other_symbol(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "N"


def other_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def other_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "picture"


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[2].op_type = "Relux"


def dangling(model: onnx.ModelProto) -> None:
    model.graph.node[2].input[0] = "nothing"


def shapeless(model: onnx.ModelProto) -> None:
    node = model.graph.node[5]
    node.input[0] = "e"
    model.graph.node.insert(5, onnx.helper.make_node("Reshape", ["d", "sizes"], ["e"]))
    model.graph.node.insert(0, onnx.helper.make_node("NonZero", ["image"], ["places"]))
    model.graph.node.insert(1, onnx.helper.make_node("Reshape", ["places", "minus"], ["sizes"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "minus"))


def outside(location: str, length: int = 40) -> Callable[[onnx.ModelProto], None]:
    def plant(model: onnx.ModelProto) -> None:
        tensor = next(one for one in model.graph.initializer if one.name == "head_bias")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
            tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=value))

    return plant


def leak_home(model: onnx.ModelProto) -> None:
    model.graph.node[0].doc_string = f"{Path.home()}/model.py:3"


def leak_checkout(model: onnx.ModelProto) -> None:
    onnx.helper.set_model_props(model, {"source": f"{Path(__file__).resolve().parents[1]}/tests/x.py"})


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (version, "IR version is 14, not 10"),
        (opset, "opset is 22, not 23"),
        (domain, "operators of com.microsoft"),
        (fixed_batch, "dim 0 of image is 1, not B"),
        (other_symbol, "dim 0 of logits is N, not B"),
        (other_type, "image is FLOAT16, not float"),
        (other_name, "its inputs are picture, not image"),
        (unknown_operator, "the checker refuses it"),
        (dangling, "the checker refuses it"),
        (shapeless, "the value e has no shape"),
        (outside("../weights.data"), "no file beside it"),
        (outside("/weights.data"), "no file beside it"),
        (outside("sub/weights.data"), "no file beside it"),
        (outside(".."), "no file beside it"),
        (outside("link.data"), "link.data, which is no file"),
        (outside("gone.data"), "gone.data, which is no file"),
        (outside("weights.data", 41), "it is shorter"),
        (outside("weights.data", -1), "it is shorter"),
        (leak_home, "names a folder of this machine"),
        (leak_checkout, "names a folder of this machine"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(
    digits: nn.Module, tmp_path: Path, plant: Callable[[onnx.ModelProto], None], message: str
) -> None:
    (tmp_path / "weights.data").write_bytes(bytes(40))
    (tmp_path / "link.data").symlink_to(tmp_path / "weights.data")
    exported = digits_graph(digits)
    plant(exported)
    with pytest.raises(ProofFailed, match=message):
        check_onnx(saved(exported, tmp_path), DIGITS_META)


def test_weights_beside_the_file_pass(digits: nn.Module, tmp_path: Path) -> None:
    bias = digits.get_parameter("head.bias").detach().numpy()
    (tmp_path / "weights.data").write_bytes(bias.tobytes())
    exported = digits_graph(digits)
    outside("weights.data")(exported)
    check_onnx(saved(exported, tmp_path), DIGITS_META)
    proof_of(digits, exported, DIGITS_META, tmp_path).require("model.onnx")


def test_what_is_no_onnx_at_all(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("no")
    with pytest.raises(ProofFailed, match="is no ONNX file"):
        check_onnx(tmp_path / "model.onnx", DIGITS_META)


# --- what is left behind


def test_files_arrive_with_their_report(digits: nn.Module, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    for _ in range(2):  # into a new folder, then over the files of the first time
        with staged(target) as folder:
            exported = digits_graph(digits)
            path = saved(exported, folder)
            proof = proof_of(digits, exported, DIGITS_META, folder)
            facts = {"model.onnx": check_onnx(path, DIGITS_META)}
            write_report(folder, version="0.1.0", spec_sha256="00", step=5, proofs={"model.onnx": proof}, facts=facts)
        assert sorted(file.name for file in target.iterdir()) == ["export_report.json", "model.onnx"]
    assert list(target.parent.iterdir()) == [target]
    report = json.loads((target / "export_report.json").read_text())
    entry = report["files"]["model.onnx"]
    import hashlib

    assert entry["sha256"] == hashlib.sha256((target / "model.onnx").read_bytes()).hexdigest()
    assert entry["facts"]["opset"] == 23 and entry["proof"]["ok"] is True
    first = entry["proof"]["stages"][0]["comparisons"][0]
    assert first["difference"] <= first["allowed"] and first["sizes"] == "B=1"


def test_nothing_is_left_of_a_failed_proof(digits: nn.Module, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with pytest.raises(ProofFailed), staged(target) as folder:  # noqa: PT012
        exported = digits_graph(digits)
        flip_one_weight(exported)
        proof_of(digits, exported, DIGITS_META, folder).require("model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_where_an_export_fails(digits: nn.Module, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "model.onnx").write_text("before")
    with pytest.raises(KeyboardInterrupt), staged(target) as folder:  # noqa: PT012
        saved(digits_graph(digits), folder)
        raise KeyboardInterrupt
    (target / "other.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match=r"other.onnx is in the way"), staged(target) as folder:  # noqa: PT012
        saved(digits_graph(digits), folder)
        (folder / "other.onnx").write_text("after")
    assert (target / "model.onnx").read_text() == "before"
    assert not (tmp_path / "elsewhere").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="is no directory"), staged(tmp_path / "file"):
        pass


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with pytest.raises(DiskFull), staged(target) as folder:  # noqa: PT012
        (folder / "model.onnx").write_text("half of")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
