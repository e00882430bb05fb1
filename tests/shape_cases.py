"""A line of a model on its inputs, compiled and run, for the tests of what changes shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.build.model import build_model
from dlspec.compiler.pipeline import Artefact, analyse, compile
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.tensor import Tensor as Type
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

OPEN = {"B": 3, "T": 4, "H": 5, "W": 2}


@dataclass(frozen=True)
class Case:
    """A line of a model and its inputs; `constants` are lines of the file."""

    line: str
    inputs: dict[str, str] = field(default_factory=lambda: {"x": "[B, T, 12]"})
    constants: str = ""

    def __str__(self) -> str:
        return self.line

    def spec(self, output: str) -> Source:
        ports = ", ".join(f"{name}: {type_}" for name, type_ in self.inputs.items())
        begin = f"{next(iter(self.inputs))} -> " if len(self.inputs) > 1 and not self.line.startswith("{") else ""
        text = f"dlspec 1\n{self.constants}\nmodel Net: ({ports}) -> (y: {output}) {{\n  {begin}{self.line}\n}}\n"
        return Source("net.dlspec", text)

    def compiled(self) -> Artefact:
        """What the line gives is asked of a first try, which promises something else."""
        tried = analyse(self.spec("[1]"))
        assert tried.spec is not None
        found = build_model(tried.spec, tried.spec.scope.models["Net"], Report()).flows["y"]
        return compile(self.spec(str(found)))


def model_of(artefact: Artefact, *, exporting: bool = False) -> Any:
    model = load_text("net", artefact.export_code if exporting else artefact.model_code).Net()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


def inputs_of(artefact: Artefact) -> list[Tensor]:
    sizes = Sizes(OPEN)
    types = [value.type for value in artefact.graph.model.inputs]
    shapes = [tuple(map(sizes.of, type_.dims)) for type_ in types if isinstance(type_, Type)]
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in shapes]


def shape_of(artefact: Artefact) -> tuple[int, ...]:
    type_ = artefact.graph.model.outputs[0].type
    assert isinstance(type_, Type)
    return tuple(map(Sizes(OPEN).of, type_.dims))


def run(case: Case) -> tuple[Tensor, list[Tensor]]:
    """What the emitted model gives, and its inputs; the shape is the one that was inferred, in script the same."""
    artefact = case.compiled()
    inputs = inputs_of(artefact)
    y = model_of(artefact)(*inputs)
    assert tuple(y.shape) == shape_of(artefact)
    scripted = torch.jit.script(model_of(artefact, exporting=True))
    assert torch.equal(scripted(*inputs), y)
    return y, inputs


def errors(case: Case) -> list[tuple[str, str, str, str]]:
    """Code, message, the blamed text and the help of each error, those of the promised output left out."""
    found = analyse(case.spec("[1]")).diagnostics
    return [
        (d.code, d.message, d.span.text, d.help or "") for d in found if "promises" not in d.message and d.span.line > 2
    ]


def agrees_in_onnx(case: Case, folder: Path) -> None:
    """The ONNX nodes compute what PyTorch does."""
    artefact = case.compiled()
    model, inputs = model_of(artefact), inputs_of(artefact)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    save(build(artefact.graph, weights, metadata={}), folder / "net.onnx")
    session = onnxruntime.InferenceSession(folder / "net.onnx", providers=["CPUExecutionProvider"])
    fed = {value.name: x.numpy() for value, x in zip(artefact.graph.model.inputs, inputs, strict=True)}
    used = {port.name for port in session.get_inputs()}
    (found,) = session.run(None, {name: x for name, x in fed.items() if name in used})
    np.testing.assert_allclose(np.asarray(found), model(*inputs).detach().numpy(), rtol=1e-6)
