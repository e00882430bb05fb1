"""Deep nets of BatchNorm in ONNX, with statistics of few images: as far from exact as PyTorch is.

No operator is to blame: where a channel hardly varies, BatchNorm multiplies by 1 / sqrt(variance), and what was
rounded before it too.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source

torch.set_num_threads(1)


def few_images(artefact: Artefact) -> Any:
    """The emitted model in evaluation, each BatchNorm with the statistics of one batch of 4 images."""
    module = ModuleType("emitted")
    sys.modules["emitted"] = module  # dataclasses look their module up
    try:
        exec(artefact.model_code, vars(module))
    finally:
        del sys.modules["emitted"]
    model = module.ResNet50()
    model.init_weights(torch.Generator().manual_seed(0))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def off(array: Any, exact: Any) -> float:
    """max |array - exact| / max |exact|"""
    return float(np.abs(array.astype(np.float64) - exact.astype(np.float64)).max() / np.abs(exact).max())


@pytest.fixture(scope="module")
def resnet(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """ResNet-50 in PyTorch, and the ONNX file of its weights."""
    artefact = compile(Source("resnet50.dlspec", (repo / "specs" / "resnet50.dlspec").read_text(encoding="utf-8")))
    model = few_images(artefact)
    known = parameters(artefact.graph).shapes
    weights = {key: tensor.detach().numpy() for key, tensor in model.state_dict().items() if key in known}
    path = tmp_path_factory.mktemp("resnet") / "resnet50.onnx"
    save(build(artefact.graph, weights, metadata={}), path)
    return model, path


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
def test_it_is_as_far_from_exact_as_pytorch_is(resnet: tuple[Any, Path], level: str) -> None:
    """Whether or not convolutions and norms are folded into each other."""
    model, path = resnet
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {session.get_inputs()[0].name: IMAGES.numpy()})
    with torch.no_grad():
        single, exact = model(IMAGES).numpy(), deepcopy(model).double()(IMAGES.double()).numpy()
    assert off(given, exact) < 4 * off(single, exact) < 4e-4


def test_each_operator_alone_is_exact_to_rounding(resnet: tuple[Any, Path]) -> None:
    """Each BatchNormalization on what ONNX Runtime itself gave it."""
    graph = onnx.load(resnet[1])
    norms = [node for node in graph.graph.node if node.op_type == "BatchNormalization"]
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    seen = list(dict.fromkeys(name for node in norms for name in (node.input[0], node.output[0])))
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in seen)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values: dict[str, Any] = dict(
        zip(seen, session.run(None, {session.get_inputs()[0].name: IMAGES.numpy()}), strict=True)
    )
    least = 1.0
    for node in norms:
        x = values[node.input[0]].astype(np.float64)
        weight, bias, mean, variance = (stored[name].astype(np.float64)[:, None, None] for name in node.input[1:])
        (eps,) = (attribute.f for attribute in node.attribute if attribute.name == "epsilon")
        exact = (x - mean) / np.sqrt(variance + eps) * weight + bias
        assert off(values[node.output[0]], exact) < 1e-6, node.name
        least = min(least, float(variance.min()))
    assert len(norms) == 53 and least < 1e-3, "some channels hardly vary: there the norm multiplies by 30 and more"
