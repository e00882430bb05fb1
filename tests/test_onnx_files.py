"""The files of an export: what is written, where the weights lie, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx_graphs import SMALL, gpt, mlp
from safetensors.numpy import save_file

from dlspec.compiler.backends.onnx import save as saving
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.backends.onnx.weights import SafetensorsFile, WeightFault


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {k: random.standard_normal(s, np.float32) for k, s in parameters(gpt()).shapes.items()}


@pytest.fixture
def checkpoint(weights: dict[str, np.ndarray], tmp_path: Path) -> Path:
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def logits(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tokens = np.random.default_rng(1).integers(0, SMALL.vocab, (2, 9))
    return np.asarray(session.run(None, {"tokens": tokens})[0])


def test_the_stream_is_what_protobuf_would_write(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    model = build(gpt(), weights, metadata={"dlspec.profile": "onnx"})
    before = ir.to_proto(model)
    save(model, tmp_path / "m.onnx")
    assert onnx.load(tmp_path / "m.onnx") == before
    assert ir.to_proto(model) == before, "writing has changed the model"


def test_large_weights_go_beside_the_file(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    model = build(gpt(), weights, metadata={})
    assert save(model, tmp_path / "in.onnx") == [tmp_path / "in.onnx"]
    written = save(model, tmp_path / "out.onnx", inline_limit=1000)
    assert [p.name for p in written] == ["out.onnx", "out.onnx.data"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.onnx", "out.onnx", "out.onnx.data"]
    assert (tmp_path / "out.onnx").stat().st_size < 60_000
    assert verify_graph(tmp_path / "out.onnx") == []
    np.testing.assert_array_equal(logits(tmp_path / "out.onnx"), logits(tmp_path / "in.onnx"))
    again = [path.read_bytes() for path in written]
    save(model, tmp_path / "out.onnx", inline_limit=1000)
    assert [path.read_bytes() for path in written] == again


def test_weights_by_reference(weights: dict[str, np.ndarray], checkpoint: Path, tmp_path: Path) -> None:
    """The graph alone is written; the checkpoint is what it was, and both may be moved together."""
    before = checkpoint.read_bytes()
    assert save(build(gpt(), SafetensorsFile(checkpoint).by_reference(), metadata={}), tmp_path / "ref.onnx") == [
        tmp_path / "ref.onnx"
    ]
    assert checkpoint.read_bytes() == before
    assert (tmp_path / "ref.onnx").stat().st_size < 60_000
    assert str(tmp_path).encode() not in (tmp_path / "ref.onnx").read_bytes()
    save(build(gpt(), weights, metadata={}), tmp_path / "in.onnx")
    expected = logits(tmp_path / "in.onnx")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("ref.onnx", "model.safetensors"):
        (tmp_path / name).rename(moved / name)
    assert verify_graph(moved / "ref.onnx") == []
    np.testing.assert_array_equal(logits(moved / "ref.onnx"), expected)


def test_a_reference_leads_to_a_file_beside_it(checkpoint: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    model = build(gpt(), SafetensorsFile(checkpoint).by_reference(), metadata={})
    with pytest.raises(WeightFault, match=r"model\.safetensors, which must lie in the folder of m\.onnx"):
        save(model, elsewhere / "m.onnx")
    (elsewhere / "model.safetensors").symlink_to(checkpoint)
    linked = build(gpt(), SafetensorsFile(elsewhere / "model.safetensors").by_reference(), metadata={})
    with pytest.raises(WeightFault, match="is a link"):
        save(linked, elsewhere / "m.onnx")
    assert not (elsewhere / "m.onnx").exists()


@pytest.mark.parametrize("limit", [10**9, 1000])
def test_a_link_is_not_written_through(weights: dict[str, np.ndarray], tmp_path: Path, limit: int) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / ("m.onnx" if limit > 1000 else "m.onnx.data")).symlink_to(tmp_path / "precious")
    with pytest.raises(WeightFault, match=r"m\.onnx(\.data)? is a link"):
        save(build(gpt(), weights, metadata={}), tmp_path / "m.onnx", inline_limit=limit)
    assert (tmp_path / "precious").read_text() == "keep me"


def test_a_write_that_fails_leaves_what_was_there(
    weights: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(model: ir.Model, file: Any) -> None:
        file.write(b"half a file")
        raise OSError("no space left on device")

    (tmp_path / "m.onnx").write_bytes(b"the file before")
    monkeypatch.setattr(saving, "write", full)
    with pytest.raises(OSError, match="no space"):
        save(build(gpt(), weights, metadata={}), tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"the file before"


# --- safetensors ---


@pytest.mark.parametrize(("dtype", "bits"), [(ml_dtypes.bfloat16, 16), (np.float16, 16)], ids=["bfloat16", "float16"])
def test_half_precision_is_widened_exactly(dtype: Any, bits: int, tmp_path: Path) -> None:
    """All bit patterns of a number of 16 bits but those that are not a number."""
    patterns = np.arange(2**bits, dtype=np.uint16).view(dtype)
    exact = patterns.astype(np.float32)
    weights = {k: np.ones(s, np.float32) for k, s in parameters(mlp()).shapes.items()}
    finite = np.where(np.isfinite(exact), exact, 0)[: 64 * 64]
    halves = {name: w.astype(dtype) for name, w in weights.items()}
    halves["fc2.weight"] = finite.astype(dtype).reshape(64, 64)
    save_file(halves, tmp_path / "half.safetensors")
    for source in (halves, SafetensorsFile(tmp_path / "half.safetensors")):
        held = build(mlp(), source, metadata={}).graph.initializers["fc2.weight"].const_value  # type: ignore[arg-type]
        assert held is not None and held.dtype == ir.DataType.FLOAT
        np.testing.assert_array_equal(held.numpy().reshape(-1), finite)
    with pytest.raises(WeightFault, match=r"is (BF|F)16: a graph can refer to float32 only"):
        build(mlp(), SafetensorsFile(tmp_path / "half.safetensors").by_reference(), metadata={})


def test_whole_numbers_are_no_weights(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    wrong = weights | {"norm.bias": np.zeros(SMALL.dim, np.int64)}
    save_file(wrong, tmp_path / "model.safetensors")
    with pytest.raises(WeightFault, match=r"`norm\.bias` in model\.safetensors is I64"):
        build(gpt(), SafetensorsFile(tmp_path / "model.safetensors"), metadata={})


def _header(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], r"is damaged: `.*` does not lie where its header says"),
        (lambda data: b"", "its header does not fit into it"),
        (lambda data: (10**12).to_bytes(8, "little") + data[8:], "its header does not fit into it"),
        (lambda data: data[:8] + b"!" + data[9:], "its header is not JSON"),
        (lambda data: (2).to_bytes(8, "little") + b"[]", "its header lists no tensors"),
        (_header(lambda h: h["norm.bias"].pop("data_offsets")), "its header lists no tensors"),
        (_header(lambda h: h["norm.bias"].update(shape=[-32])), "its header lists no tensors"),
        (_header(lambda h: h["norm.bias"].update(shape=[33])), r"`norm\.bias` does not lie"),
        (_header(lambda h: h["norm.bias"].update(data_offsets=[-128, 0])), r"`norm\.bias` does not lie"),
        (_header(lambda h: h["norm.bias"].update(data_offsets=[10**9, 10**9 + 128])), r"`norm\.bias` does not lie"),
    ],
)
def test_damaged_checkpoints_are_refused(damage: Callable[[bytes], bytes], message: str, checkpoint: Path) -> None:
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(WeightFault, match=message):
        SafetensorsFile(checkpoint)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightFault, match=r"none\.safetensors cannot be read: No such file"):
        SafetensorsFile(tmp_path / "none.safetensors")


# --- the check itself ---


def _misshapen(model: onnx.ModelProto) -> None:
    dims = model.graph.initializer[0].dims
    dims[0], dims[1] = dims[1], dims[0]


FAULTS: Mapping[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "an operator that is not there": (lambda m: setattr(m.graph.node[0], "op_type", "Gather2"), "Gather2"),
    "an input that nothing makes": (lambda m: m.graph.node[-1].input.__setitem__(0, "nothing"), "nothing"),
    "a shape that is wrong": (_misshapen, ""),
    "a width that is wrong": (
        lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[2], "dim_value", 98),
        "97",
    ),
    "another set of operators": (lambda m: setattr(m.opset_import[0], "version", 24), "version 23"),
    "another domain": (lambda m: m.opset_import.add(domain="com.microsoft", version=1), "com.microsoft"),
    "a newer format": (lambda m: setattr(m, "ir_version", 11), "the format version is 11, not 10"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_seen(fault: str, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    change, message = FAULTS[fault]
    save(build(gpt(), weights, metadata={}), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    change(model)
    onnx.save(model, tmp_path / "m.onnx")
    found = verify_graph(tmp_path / "m.onnx")
    assert len(found) >= 1 and message in "\n".join(found)


def test_a_value_without_a_shape_is_seen(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """What comes out of a slice of unknown length has the length that we state, or none."""
    save(build(gpt(), weights, metadata={}), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    stated = next(v for v in model.graph.value_info if v.name == "wpe")
    model.graph.value_info.remove(stated)
    onnx.save(model, tmp_path / "m.onnx")
    assert verify_graph(tmp_path / "m.onnx") == ["`wpe` has no shape"]


@pytest.mark.parametrize("place", ["../m.onnx.data", "data/m.onnx.data"])
def test_weights_from_elsewhere_are_seen(place: str, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    (folder / "data").mkdir(parents=True)
    save(build(gpt(), weights, metadata={}), folder / "m.onnx", inline_limit=1000)
    (folder / "m.onnx.data").rename(folder / place)
    model = onnx.load(folder / "m.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    assert any(place in fault or "external" in fault for fault in verify_graph(folder / "m.onnx"))
