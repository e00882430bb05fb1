"""`dlspec bench` beside Liger-Kernel, by one that is made up: it calls what it is given as the real one does."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch

from dlspec.compiler.backends.triton.cross_entropy_features import CrossEntropyFeatures
from dlspec.compiler.scalars.expression import Variable
from dlspec.runtime.bench import kernels as of_kernels
from dlspec.runtime.bench.kernels import tensors_of
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.use import Entry, Use

ADDED = "LigerFusedAddRMSNormFunction"
LOSS = "LigerCrossEntropyFunction"
PLAIN = of_kernels.Rival("PyTorch", lambda: None)


def test_liger_stands_beside_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up one, which calls what it is given as the real one does: 0.8.5 takes these arguments."""
    module = torch.nn.RMSNorm(8, eps=1e-3)
    module.register_parameter("bias", None)

    class Made:
        @staticmethod
        def apply(*given: Any) -> Any:
            *tensors, weight, eps, offset, casting, in_place = given
            assert (weight is module.weight, eps, offset, casting, in_place) == (True, 1e-3, 0.0, "llama", False)
            total: Any = sum(tensors)
            y = torch.nn.functional.rms_norm(total, (8,), weight, eps)
            return (y, total) if len(tensors) == 2 else y

    made_up(monkeypatch, {"rms_norm": ("LigerRMSNormFunction", Made), "fused_add_rms_norm": (ADDED, Made)})
    x, features = torch.randn(2, 8), {"layer": False, "offset": False, "add": True}
    for branch in (torch.randn(2, 8), None):
        use = Use("AddRMSNorm", Entry("norm", features), module, {"x": x, "branch": branch}, ("norm",), None)
        (rival,) = kind_of("norm").rivals(use, of_kernels.Rival("PyTorch", use.run))
        found = tensors_of(rival.run(**use.values))
        total = x if branch is None else x + branch
        assert rival.name == "Liger-Kernel" and torch.equal(found[-1], module(total))
        assert branch is None or torch.equal(found[0], total)
    use = Use("LayerNorm", Entry("norm", features | {"layer": True, "bias": True}), module, {"x": x}, ("norm",), None)
    assert list(kind_of("norm").rivals(use, of_kernels.Rival("PyTorch", use.run))) == []


def made_up(monkeypatch: pytest.MonkeyPatch, operations: dict[str, tuple[str, type]]) -> None:
    """A Liger-Kernel that has these."""
    for name in ("liger_kernel", "liger_kernel.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for file, (name, function) in operations.items():
        monkeypatch.setitem(sys.modules, f"liger_kernel.ops.{file}", ModuleType(file))
        setattr(sys.modules[f"liger_kernel.ops.{file}"], name, function)


def test_liger_has_losses_gates_and_rotary(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss:
        @staticmethod
        def apply(logits: Any, labels: Any, weight: None, ignored: int, z: float, smoothing: float) -> Any:
            assert weight is None and z == 0.0
            found = torch.nn.functional.cross_entropy(logits, labels, ignore_index=ignored, label_smoothing=smoothing)
            return found, None

    class Gate:
        @staticmethod
        def apply(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.silu(gate) * up

    made_up(monkeypatch, {"cross_entropy": (LOSS, Loss), "swiglu": ("LigerSiLUMulFunction", Gate)})
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[0, 1, 2], [3, 2, 2]])
    want = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=2)
    assert torch.equal(by_liger("cross_entropy", {}, {"logits": logits, "labels": labels, "ignore": 2}), want)
    gate, up = torch.randn(2, 4), torch.randn(2, 4)
    want = Gate.apply(gate, up)
    features = {"name": "silu", "gate_first": False}
    assert torch.equal(by_liger("gated", features, {"gate": gate, "up": up}), want)
    assert torch.equal(by_liger("gated", features, {"both": torch.cat((up, gate), -1)}), want)
    q, k, angles = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 2, 8), torch.randn(9, 4)

    class Turn:
        @staticmethod
        def apply(q: Any, k: Any, cos: Any, sin: Any, places: None, heads_at: int, width: int) -> Any:
            assert (q.shape, k.shape, cos.shape) == ((2, 4, 3, 8), (2, 2, 3, 8), (1, 3, 4))
            assert places is None and (heads_at, width) == (1, 8)
            return q, k

    made_up(monkeypatch, {"rope": ("LigerRopeFunction", Turn)})
    turned = by_liger("rotary", {}, {"q": q, "k": k, "cos": angles.cos(), "sin": angles.sin()})
    assert torch.equal(turned[0], q) and torch.equal(turned[1], k)
    assert list(kind_of("gated").rivals(Use("x", Entry("gated", {"name": "relu"}), Gate, {}, (), None), PLAIN)) == []


def by_liger(kind: str, features: dict[str, Any], values: dict[str, Any]) -> Any:
    (rival,) = kind_of(kind).rivals(Use("x", Entry(kind, features), lambda: None, values, (), None), PLAIN)
    return rival.run(**values)


def test_a_linear_layer_with_its_loss_is_measured_by_its_products(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss:
        @staticmethod
        def apply(x: Any, weight: Any, labels: Any, bias: Any) -> Any:
            return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, weight, bias), labels), None

    made_up(monkeypatch, {"fused_linear_cross_entropy": ("LigerFusedLinearCrossEntropyFunction", Loss)})
    module, x, targets = torch.nn.Linear(8, 5), torch.randn(2, 3, 8), torch.tensor([[0, 1, 2], [3, 2, 2]])
    kind, values = kind_of("linear_cross_entropy"), {"x": x, "targets": targets}
    for smoothing in (False, True):
        loss = CrossEntropyFeatures(smoothing=smoothing, ignore=False)
        use = Use("L", Entry("linear_cross_entropy", {"loss": loss}), module, values, ("head",), None)
        assert (kind.unit, kind.forward_work(use, []), kind.backward_work(use, [])) == ("TFLOP/s", 480, 960)
        assert [rival.name for rival in kind.rivals(use, PLAIN)] == ([] if smoothing else ["Liger-Kernel"])
    plain_loss = CrossEntropyFeatures(smoothing=False, ignore=False)
    for asked in ({"ignore": True}, {"z_loss": True}, {"weights": True}, {"function": Variable("x")}, {"summed": True}):
        other = replace(use, entry=Entry("linear_cross_entropy", {"loss": replace(plain_loss, **asked)}))
        assert list(kind.rivals(other, PLAIN)) == []
    (rival,) = kind.rivals(replace(use, entry=Entry("", {"loss": plain_loss})), PLAIN)
    want = torch.nn.functional.cross_entropy(module(x).flatten(0, 1), targets.flatten())
    assert torch.equal(rival.run(**values), want)
