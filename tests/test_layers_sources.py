"""Sources, which take nothing that runs: Weight, normal, sample_normal, in PyTorch and ONNX."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from shape_cases import Case, agrees_in_onnx, errors, model_of
from torch import Tensor, nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.layers.base import NoOnnxForm


@pytest.mark.parametrize(
    ("init", "check"),
    [
        ("", lambda w: w.eq(0).all()),
        (", init = zeros", lambda w: w.eq(0).all()),
        (", init = ones", lambda w: w.eq(1).all()),
        (", init = normal(0.02)", lambda w: 0.018 < w.std() < 0.022 and abs(w.mean()) < 0.002),
        (", init = normal(std)", lambda w: 0.27 < w.std() < 0.33),
        (", init = xavier", lambda w: torch.equal(w, _drawn(nn.init.xavier_uniform_, w.shape))),
        (", init = he", lambda w: torch.equal(w, _drawn(nn.init.kaiming_normal_, w.shape, nonlinearity="relu"))),
        (", init = orthogonal", lambda w: torch.allclose(w.T @ w, torch.eye(40), atol=1e-5)),
    ],
)
def test_a_weight_begins_as_it_says(init: str, check: Any) -> None:
    case = Case(f"identity + Weight([60, 40]{init})", {"x": "[B, 60, 40]"}, "std = 0.3" if "std" in init else "")
    model = model_of(case.compiled())
    assert list(model.state_dict()) == ["weight"]
    assert check(model.weight.detach())


def _drawn(draw: Any, shape: Any, **options: Any) -> Tensor:
    return draw(torch.empty(shape), generator=torch.Generator().manual_seed(0), **options)


def test_a_weight_is_called_by_its_label_and_is_one_in_each_copy() -> None:
    case = Case("repeat(2) { identity * scale: Weight([dim], init = ones) + Weight([dim]) }", constants="dim = 12")
    model = model_of(case.compiled())
    assert list(model.state_dict()) == [f"layers.{i}.{key}" for i in range(2) for key in ("scale", "weight")]
    assert torch.equal(model(torch.ones(1, 2, 12)), torch.ones(1, 2, 12))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("Weight([B, 3])", "a Weight is made when the model is built, and B is open until it runs"),
        ("Weight([12], init = he)", "he goes by inputs and outputs, and a Weight of one dim has not both"),
        ("Weight([12], init = uniform)", "`uniform`"),
        ("Weight([12], init = normal)", "`init` takes zeros, ones, xavier, he, orthogonal or normal with a deviation"),
        (
            "Weight([12], init = normal(0))",
            "`init` takes zeros, ones, xavier, he, orthogonal or normal with a deviation",
        ),
        ("Weight([12], init = normal(0.1, 2))", "takes"),
        ("Weight([])", "`dims` takes a list of dims"),
    ],
)
def test_a_weight_that_cannot_be_is_refused(call: str, message: str) -> None:
    found = errors(Case(f"identity + {call}"))
    assert any(message in told for _, told, _, _ in found), found


def test_normal_draws_anew_in_evaluation_too_where_the_model_is() -> None:
    case = Case("identity + normal([B, T, 12])")
    artefact = case.compiled()
    assert "torch.randn(B, T, 12, device=x.device, dtype=x.dtype)" in artefact.model_code
    model = model_of(artefact)
    x = torch.zeros(20, 30, 12)
    first, second = model(x), model(x)
    assert not torch.equal(first, second)
    assert abs(first.mean()) < 0.1 and 0.95 < first.std() < 1.05
    assert model(x.bfloat16()).dtype == torch.bfloat16
    assert model(x.to("meta")).device.type == "meta"
    assert torch.jit.script(model)(x).shape == x.shape


def test_normal_follows_a_weight_where_only_whole_numbers_come_in() -> None:
    case = Case("Embedding(9, 4) + normal([B, T, 4])", {"x": "int[B, T]"})
    artefact = case.compiled()
    code = " ".join(artefact.model_code.split())
    assert "device=self.embedding.weight.device, dtype=self.embedding.weight.dtype" in code
    model = model_of(artefact).bfloat16()
    assert model(torch.zeros(2, 3, dtype=torch.long)).dtype == torch.bfloat16


def test_normal_has_no_onnx_form() -> None:
    artefact = Case("identity + normal([B, T, 12])").compiled()
    with pytest.raises(NoOnnxForm, match="normal"):
        build(artefact.graph, {}, metadata={})


LATENT = Case("{ sample_normal(mean, logvar) }", {"mean": "[B, 6]", "logvar": "[B, 6]"})


def test_sample_normal_is_the_mean_in_evaluation_and_a_draw_in_training() -> None:
    artefact = LATENT.compiled()
    model = model_of(artefact)
    mean, logvar = torch.full((4000, 6), 2.0, requires_grad=True), torch.full((4000, 6), -1.0, requires_grad=True)
    assert model(mean, logvar) is mean
    drawn = model.train()(mean, logvar)
    assert abs(drawn.mean() - 2) < 0.02 and abs(drawn.std() - math.exp(-0.5)) < 0.02
    drawn.sum().backward()
    assert mean.grad is not None and torch.equal(mean.grad, torch.ones_like(mean))
    assert logvar.grad is not None and torch.allclose(logvar.grad, (drawn - mean).detach() / 2, atol=1e-6)
    assert "sample_normal" not in artefact.export_code.split("class Net")[1]


def test_sample_normal_takes_values_of_one_shape() -> None:
    ((code, message, _, _),) = errors(Case("{ sample_normal(mean, logvar) }", {"mean": "[B, 6]", "logvar": "[B, 5]"}))
    assert code == "shape-mismatch"
    assert message == "sample_normal takes a mean and a logvar of one shape, and gets [B, 6] and [B, 5]"
    found = errors(Case("{ sample_normal(mean, Linear(6)) }", {"mean": "[B, 6]", "logvar": "[B, 6]"}))
    assert "not-a-value" in [code for code, *_ in found]


# --- ONNX -------------------------------------------------------------------------------------------------------

ONNX = [
    Case("identity * Weight([12], init = normal(0.5))"),
    LATENT,
]


@pytest.mark.parametrize("case", ONNX, ids=str)
def test_the_onnx_nodes_compute_what_pytorch_does(case: Case, tmp_path: Path) -> None:
    agrees_in_onnx(case, tmp_path)
