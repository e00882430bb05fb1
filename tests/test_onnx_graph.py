"""Whole models as ONNX against the goldens in PyTorch."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from onnx_graphs import SMALL, gpt, mlp
from safetensors.numpy import save_file

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.backends.onnx.weights import SafetensorsFile, WeightFault

torch.set_num_threads(1)


def golden(repo: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{name}", repo / "tests" / "golden" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def drawn(model: torch.nn.Module) -> torch.nn.Module:
    """Weights as large as those of a trained model, so that each shows; biases and gains away from 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    model.init_weights(generator)  # type: ignore[operator]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5)
    return model.eval()


def state(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The checkpoint: tied weights once, under their first name."""
    return {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}


@pytest.fixture(scope="module")
def small_gpt(repo: Path) -> torch.nn.Module:
    module = golden(repo, "gpt")
    return drawn(module.GPT(module.Config(**vars(SMALL), drop=0.1)))


@pytest.fixture(scope="module")
def gpt_weights(small_gpt: torch.nn.Module) -> dict[str, np.ndarray]:
    return state(small_gpt)


def run(path: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, inputs)]


def close(found: np.ndarray, expected: torch.Tensor) -> bool:
    """Within 1e-5 of the largest entry."""
    theirs = expected.detach().numpy()
    assert found.shape == theirs.shape
    return bool(np.abs(found - theirs).max() <= 1e-5 * np.abs(theirs).max())


def tokens(*size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, SMALL.vocab, size)


def test_mlp_equals_pytorch(repo: Path, tmp_path: Path) -> None:
    model = drawn(golden(repo, "digits").MLP())
    save(build(mlp(), state(model), metadata={}), tmp_path / "m.onnx")
    assert verify_graph(tmp_path / "m.onnx") == []
    for batch in (1, 7, 64):
        image = np.random.default_rng(batch).random((batch, 1, 8, 8), np.float32)
        (logits,) = run(tmp_path / "m.onnx", image=image)
        assert close(logits, model(torch.from_numpy(image)))


def test_gpt_equals_pytorch(small_gpt: torch.nn.Module, gpt_weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    save(build(gpt(), gpt_weights, metadata={}), path)
    assert verify_graph(path) == []
    for size in ((1, 1), (1, 77), (3, 128), (2, SMALL.context)):
        (logits,) = run(path, tokens=tokens(*size))
        assert close(logits, small_gpt(torch.from_numpy(tokens(*size))))


def test_a_sequence_longer_than_the_model_takes_is_refused(gpt_weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(build(gpt(), gpt_weights, metadata={}), tmp_path / "m.onnx")
    with pytest.raises(Exception, match=r"wpe|add"):
        run(tmp_path / "m.onnx", tokens=tokens(1, SMALL.context + 1))


def test_a_wrong_weight_is_seen(small_gpt: torch.nn.Module, gpt_weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Every weight matters: the comparison fails when any one of them has its rows turned round."""
    x = tokens(1, 77)
    expected = small_gpt(torch.from_numpy(x))
    for name, weight in gpt_weights.items():
        if name.endswith("k.bias"):
            continue  # softmax takes no notice of what is added to all scores of a query
        save(build(gpt(), gpt_weights | {name: weight[::-1].copy()}, metadata={}), tmp_path / "m.onnx")
        assert not close(run(tmp_path / "m.onnx", tokens=x)[0], expected), name


def test_names_and_dims_are_those_of_the_spec(gpt_weights: dict[str, np.ndarray]) -> None:
    proto = ir.to_proto(build(gpt(), gpt_weights, metadata={"dlspec.profile": "onnx", "dlspec.format": "1"}))
    graph = proto.graph
    assert [_port(v) for v in graph.input] == [("tokens", onnx.TensorProto.INT64, ["B", "T"])]
    assert [_port(v) for v in graph.output] == [("logits", onnx.TensorProto.FLOAT, ["B", "T", SMALL.vocab])]
    constants = {t.name for t in graph.initializer if t.name.startswith("constant.")}
    assert {t.name for t in graph.initializer} - constants == set(gpt_weights)
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    blocks = {"wte", "wpe", "add", "norm", "head"}
    for i in range(2):
        inside = ("attn_norm", "attn.q", "attn.k", "attn.v", "attn.attention", "attn.o", "residual", "mlp_norm")
        blocks |= {f"blocks.{i}.{n}" for n in (*inside, "mlp.fc", "mlp.gelu", "mlp.proj", "residual_2")}
    helpers = (".matmul", ".transposed")
    assert {n for n in names if not n.endswith(helpers) and not n.startswith("length.")} == blocks
    places = {prop.value for node in graph.node for prop in node.metadata_props if prop.key == "dlspec.node"}
    assert {"wte", "head", "blocks.1.attn", "blocks.1.mlp.fc", "blocks.0.residual_2"} <= places
    assert {v.name: [_dim(d) for d in v.type.tensor_type.shape.dim] for v in graph.value_info}["blocks.1.mlp.gelu"] == [
        *("B", "T"),
        4 * SMALL.dim,
    ]
    assert {p.key: p.value for p in proto.metadata_props} == {"dlspec.profile": "onnx", "dlspec.format": "1"}
    assert (proto.producer_name, proto.ir_version) == ("dlspec", 10)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 23)]


def _port(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [_dim(d) for d in tensor.shape.dim]


def _dim(dim: onnx.TensorShapeProto.Dimension) -> str | int:
    return dim.dim_param or dim.dim_value


def test_equal_weights_make_equal_bytes(gpt_weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Whatever order the checkpoint and the metadata come in, and wherever the file is written."""
    (tmp_path / "x y").mkdir()
    first, second = tmp_path / "first.onnx", tmp_path / "x y" / "second.onnx"
    save(build(gpt(), gpt_weights, metadata={"a": "1", "b": "2"}), first)
    save(build(gpt(), dict(reversed(gpt_weights.items())), metadata={"b": "2", "a": "1"}), second)
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.onnx", "x y"]


def test_a_tied_weight_may_come_under_either_name(gpt_weights: dict[str, np.ndarray]) -> None:
    moved = dict(gpt_weights)
    moved["head.weight"] = moved.pop("wte.weight")
    protos = [ir.to_proto(build(gpt(), w, metadata={})) for w in (gpt_weights, moved, gpt_weights | moved)]
    assert protos[0] == protos[1] == protos[2]


def _with(weights: Mapping[str, np.ndarray], **changes: np.ndarray | None) -> dict[str, np.ndarray]:
    changed = {**weights, **{name.replace("__", "."): w for name, w in changes.items()}}
    return {name: w for name, w in changed.items() if w is not None}


def test_weights_of_another_model_are_refused(gpt_weights: dict[str, np.ndarray]) -> None:
    """All that is wrong is said in one go."""
    changed = _with(
        gpt_weights,
        norm__bias=None,
        blocks__1__mlp__fc__weight=np.zeros((7, 32), np.float32),
        blocks__2__mlp__fc__weight=np.zeros((128, 32), np.float32),
    )
    with pytest.raises(WeightFault) as caught:
        build(gpt(), changed, metadata={})
    assert str(caught.value).split("\n") == [
        "the weights are not those of this model:",
        "  `blocks.1.mlp.fc.weight` is [7, 32]; the model has [128, 32]",
        "  `norm.bias` [32] is missing",
        "  `blocks.2.mlp.fc.weight` is not of this model",
    ]
    with pytest.raises(WeightFault, match=r"`norm.bias` is float64; a weight is float32"):
        build(gpt(), _with(gpt_weights, norm__bias=np.zeros(32)), metadata={})


LIGHT_EXPORT = """
import hashlib, pathlib, sys
import numpy as np
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.weights import SafetensorsFile
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
path, spec = map(pathlib.Path, sys.argv[1:])
graph = compile(Source("digits.dlspec", spec.read_text())).graph
random = np.random.default_rng(0)
weights = {key: random.random(shape, np.float32) for key, shape in parameters(graph).shapes.items()}
save(build(graph, weights, metadata={"b": "1", "a": "2"}), path)
print(hashlib.sha256(path.read_bytes()).hexdigest(), *sorted({"torch", "onnxruntime", "libcst"} & set(sys.modules)))
"""


def test_export_needs_no_torch_and_gives_the_same_bytes_in_any_process(repo: Path, tmp_path: Path) -> None:
    printed = set[str]()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", LIGHT_EXPORT, tmp_path / f"{seed}.onnx", repo / "specs" / "digits.dlspec"]
        environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": "C" if seed == "1" else "C.UTF-8"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        printed.add(done.stdout.strip())
    (found,) = printed
    assert len(found.split()) == 1, f"a framework was loaded: {found}"


def test_a_checkpoint_is_read_where_it_lies(gpt_weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    save_file(gpt_weights, tmp_path / "model.safetensors")
    weights = SafetensorsFile(tmp_path / "model.safetensors")
    save(build(gpt(), weights, metadata={}), tmp_path / "stored.onnx")
    save(build(gpt(), gpt_weights, metadata={}), tmp_path / "held.onnx")
    assert (tmp_path / "stored.onnx").read_bytes() == (tmp_path / "held.onnx").read_bytes()
