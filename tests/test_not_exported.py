"""What a model may hold and a format has no form of: told by a check, and left out where no output needs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.layers.base import NoOnnxForm
from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

NOISY = """dlspec 1
block Noise: [B, 8] -> [B, 8] {
  up: Linear(8) + normal([B, 8])
}
model Net: (x: [B, 8]) -> (clean: [B, 4], noisy: [B, 8], both: [B, 4]) {
  head: Linear(4) as clean
  x -> residual { noise: Noise } as noisy
  noisy -> head as both
}
export Net {
  %s
}
"""

LENT = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 8]) {
  first: Linear(8)
  part: { again: { first } }
}
export Net {
  %s
}
"""

DRAWS = "an ONNX file cannot hold `normal`, whose numbers differ at each run"
LENDS = "a TorchScript file cannot hold a module that another part of the model runs: `first`"


@pytest.mark.parametrize(
    ("text", "line", "message", "help"),
    [
        (NOISY, 'onnx("a.onnx")', DRAWS, "`outputs = [clean]` leaves it out"),
        (NOISY, 'onnx("a.onnx", outputs = [both])', DRAWS, "`outputs = [clean]` leaves it out"),
        (LENT, 'torchscript("a.pt")', LENDS, '`onnx("model.onnx")` can'),
    ],
)
def test_a_line_that_cannot_be_written_is_told(text: str, line: str, message: str, help: str) -> None:
    (said,) = analyse(Source("net.dlspec", text % line)).diagnostics
    assert (said.code, said.severity, said.message, said.help) == ("not-exportable", "warning", message, help)
    assert said.span.text == line


@pytest.mark.parametrize(
    ("text", "line"),
    [(NOISY, 'onnx("a.onnx", outputs = [clean])'), (NOISY, 'torchscript("a.pt")'), (LENT, 'onnx("a.onnx")')],
)
def test_one_that_can_is_not(text: str, line: str) -> None:
    assert analyse(Source("net.dlspec", text % line)).diagnostics == []


def test_all_outputs_need_what_is_drawn() -> None:
    text = 'dlspec 1\nmodel Net: (x: [B, 8]) -> (y: [B, 8]) { x + normal([B, 8]) }\nexport Net { onnx("a.onnx") }\n'
    (said,) = analyse(Source("net.dlspec", text)).diagnostics
    assert (said.message, said.help) == (DRAWS, '`torchscript("model.pt")` can')


def test_what_no_output_needs_has_no_nodes(tmp_path: Path) -> None:
    artefact = compile(Source("net.dlspec", NOISY % 'torchscript("a.pt")'))
    model = load_text("net", artefact.model_code).Net()
    model.init_weights(torch.Generator().manual_seed(0))
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    with pytest.raises(NoOnnxForm, match="`normal`"):
        build(artefact.graph, weights)
    save(build(artefact.graph, weights, outputs=["clean"]), tmp_path / "m.onnx")
    assert verify_graph(tmp_path / "m.onnx") == []
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    (found,) = session.run(None, {"x": x})
    np.testing.assert_allclose(np.asarray(found), model.head(torch.from_numpy(x)).detach().numpy(), atol=1e-6)
