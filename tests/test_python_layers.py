"""Layers written in Python at work: held against PyTorch, emitted, trained, resumed, exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_cases import Write, write
from python_layer_cases import PLAIN, SPEC, WAVELET, changed, told, used

import dlspec
from dlspec.api.trained import open_run
from dlspec.cli.main import main
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.plan import plan
from dlspec.compiler.diff import compare
from dlspec.compiler.ir.weights import buffers, weights
from dlspec.compiler.pipeline import analyse, emit
from dlspec.compiler.training.settings import model_settings
from dlspec.grammar import Source, SpecError
from dlspec.runtime import Program, Refused, verify_resume
from dlspec.runtime.export import check_onnx, prove, trace_onnx
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.onnx_session import open_onnx
from dlspec.runtime.program import load_text
from dlspec.runtime.settings import Port

__all__ = ["write"]


def message(found: Any) -> str:
    (one,) = found.diagnostics
    return one.message


def python_lines(found: Any) -> list[int]:
    (one,) = found.diagnostics
    return [span.line for span, _ in one.labels if span.source.name == "waves.py"]


# --- the shape rule -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "ports"),
    [
        (PLAIN, "Wave", "(x: [B, T, 8]) -> (y: [B, T, 8])"),
        (PLAIN, "Wave(size = 4) -> Wave(4)", "(x: [B, T, 8]) -> (y: [B, T, 8])"),
        (
            changed(gives="(input_shape[0], input_shape[1] // 2, input_shape[2])", out="x[:, : x.shape[1] // 2]"),
            "Wave",
            "(x: [B, T, 8]) -> (y: [B, T // 2, 8])",
        ),
        (
            changed(gives="(input_shape[0], input_shape[1] / 2, 2 * input_shape[2])", out="x.reshape(len(x), -1, 16)"),
            "Wave",
            "(x: [B, 2 * T, 8]) -> (y: [B, T, 16])",
        ),
        (
            changed(
                forward="self, x: Tensor, memory: Tensor",
                shape="input_shape, memory",
                gives="(input_shape[0], memory[1], input_shape[2])",
                out="memory[..., :1] + 0 * x[:, :1]",
            ),
            "x -> Wave(memory = m)",
            "(x: [B, T, 8], m: [B, S, 4]) -> (y: [B, S, 8])",
        ),
        (
            changed(forward="self, x: Tensor, mask: Tensor | None = None"),
            "Wave",
            "(x: [B, T, 8]) -> (y: [B, T, 8])",
        ),
        (
            changed(gives="input_shape, input_shape[:2]", out="x, x.mean(-1)"),
            "Wave as a, b\n  concat(a, a, axis = 2)\n  mean(over = 2)\n  identity + b",
            "(x: [B, T, 8]) -> (y: [B, T])",
        ),
        (changed(out="x + x.sum().item()"), "Wave", "(x: [B, T, 8]) -> (y: [B, T, 8])"),  # not on the meta device
        (changed(out="x.float()"), "Wave", "(x: int[B, T]) -> (y: [B, T])"),
    ],
)
def test_what_the_rule_says_is_what_flows_on(text: str, line: str, ports: str) -> None:
    assert told(used(text, line, ports)) == []


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        (
            changed(gives="(*input_shape[:2], 4)"),
            "the shape rule of `Wave` says [2, 48, 4], and `forward` gives [2, 48, 8] for [2, 48, 8]",
            12,
        ),
        (
            changed(out="x[:, ::2]", gives="(input_shape[0], input_shape[1] // 2, 8)"),  # right for even lengths only
            "the shape rule of `Wave` says [3, 23, 8], and `forward` gives [3, 24, 8] for [3, 47, 8]",
            12,
        ),
        (
            changed(gives="input_shape if input_shape[1] > 4 else None"),
            "the shape rule of `Wave` cannot be worked out for [B, T, 8]: whether T > 4 is known only at run time",
            13,
        ),
        (
            changed(gives="input_shape[7]"),
            "the shape rule of `Wave` fails for [B, T, 8]: IndexError: tuple index out of range",
            13,
        ),
        (changed(gives="(input_shape[0], 'x')"), "the shape rule of `Wave` gives [B, 'x'], which are no dims", 12),
        (changed(gives="None"), "the shape rule of `Wave` gives None, which are no dims", 12),
        (
            changed(out="x @ torch.zeros(3, 3)"),
            "`forward` of `Wave` fails for [2, 48, 8]: RuntimeError: mat1 and mat2 shapes cannot be multiplied "
            "(96x8 and 3x3)",
            16,
        ),
        (changed(out="y"), "`forward` of `Wave` fails for [2, 48, 8]: NameError: name 'y' is not defined", 16),
        (
            changed(out="x.argmax(-1)", gives="input_shape[:2]"),
            "`forward` of `Wave` gives int64, and a layer written in Python gives floats",
            12,
        ),
        (changed(out="'a'"), "`Wave` gives str, and what flows is a tensor", 5),
        (changed(body="raise RuntimeError('no')"), "`Wave` cannot be made: RuntimeError: no", 10),
        (
            changed(body="self.t = torch.ones(3)"),
            "`Wave` keeps the tensor `t` as a plain attribute, which no checkpoint holds",
            5,
        ),
        (
            changed(body="self.t = nn.LazyLinear(3)"),
            "`Wave` has weights whose shapes are known only after it ran (a lazy module)",
            5,
        ),
    ],
)
def test_a_layer_that_does_not_hold_what_it_promises(text: str, said: str, line: int) -> None:
    found = used(text)
    assert told(found) == ["net.dlspec:4 python-layer"] and message(found) == said
    assert python_lines(found) == [line]


def test_a_rule_refuses_with_value_errors() -> None:
    found = used(
        changed(gives="_no(input_shape)") + "\n\ndef _no(dims):\n    raise ValueError(f'{dims[1]} is too long')\n"
    )
    assert told(found) == ["net.dlspec:4 shape-mismatch"]
    assert message(found) == "`Wave` does not take [B, T, 8]: T is too long" and python_lines(found) == [20]
    refusing = changed(body="if size > 2: raise ValueError('at most 2')")
    assert message(used(refusing, "Wave(5)")) == "`Wave` refuses its options: at most 2"


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import nosuchthing\n" + PLAIN, "waves.py needs the module `nosuchthing`, which is not installed", 1),
        (PLAIN + "\nprint(undefined)\n", "waves.py cannot be run: NameError: name 'undefined' is not defined", 18),
        (PLAIN + "\nraise SystemExit(3)\n", "waves.py cannot be run: SystemExit: 3", 18),
        (PLAIN.replace("nn.Module", "object"), "`Wave` has a shape rule and is no `nn.Module`", 5),
    ],
)
def test_a_file_that_cannot_be_run(text: str, said: str, line: int) -> None:
    found = used(text)
    assert told(found) == [f"waves.py:{line} python-file"] and message(found) == said


def test_what_a_file_needs_beside_it_is_put_into_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(WAVELET + "\nimport beside_it\n", "wavelet.py")
    write("", "beside_it.py")
    assert main(["check", write(SPEC), "--allow-python"]) == 1
    assert "put what it needs of beside_it.py into it" in capsys.readouterr().out


def test_a_file_runs_once_and_prints_to_standard_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(WAVELET + "\nprint('it ran')\n", "wavelet.py")
    assert main(["check", write(SPEC), "--allow-python", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["diagnostics"] == [] and err == "it ran\n"


def test_a_layer_by_name_is_a_recipe_and_takes_defaults() -> None:
    before = "default Wave(size = 7)\nblock Twice(f): [B, T, D] -> [B, T, D] { f -> f }\n"
    found = used(PLAIN, "Twice(Wave)\n  residual(pre = Wave) { Wave(2) }\n  repeat(2) { Wave }", before=before)
    assert told(found) == []
    made = emit(found).model_code
    assert made.count("size=7") >= 3 and "size=2" in made and "\n\nfrom waves import Wave\n" in made


LEARNS = PLAIN.replace(
    "super().__init__()", "super().__init__()\n        self.fc = nn.Linear(input_shape[-1], 8)"
).replace("return x", "return self.fc(x)")


@pytest.mark.parametrize(
    "line",
    [
        "w: Wave\n  w",
        "share(2) { Wave }",
        "checkpoint { Wave }",
        "f = Wave -> relu\n  f\n  f",
        "repeat(2) { residual(post = LayerNorm, scale = deepnorm) { Wave } }",
        "wave: { Linear(8) -> relu } -> Wave",
        "Wave as memory\n  memory + 1",
    ],
)
def test_it_stands_where_any_layer_does(line: str) -> None:
    found = used(LEARNS, line)
    assert told(found) == []
    artefact = emit(found)
    model = load_text("net", artefact.model_code, artefact.beside).Net()
    model.init_weights(torch.Generator().manual_seed(1))
    assert model(torch.zeros(2, 5, 8)).shape == (2, 5, 8)
    assert {weight.key for weight in weights(found.graphs["Net"])} == {name for name, _ in model.named_parameters()}


def test_inside_a_layer_of_the_language(tmp_path: Path) -> None:
    ports = "(x: [B, 8, H, W]) -> (y: [B, 8, H, W])"
    artefact = emit(used(PLAIN, "SqueezeExcite(4, act = Wave)", ports))
    assert list(artefact.beside) == ["waves.py"]
    model = load_text("net", artefact.model_code, artefact.beside).Net()
    model.init_weights()
    assert model(torch.zeros(2, 8, 3, 3)).shape == (2, 8, 3, 3)


def test_a_module_is_made_for_one_shape() -> None:
    widening = LEARNS.replace("return input_shape", "return (*input_shape[:-1], 8)")
    found = used(widening, "w: Wave\n  Linear(4)\n  w", "(x: [B, T, 8]) -> (y: [B, T, 8])")
    assert told(found) == ["net.dlspec:6 shape-mismatch"]


# --- what is emitted ------------------------------------------------------------------------------------------------


def test_the_emitted_folder_stands_alone(write: Write, tmp_path: Path) -> None:
    write(WAVELET, "wavelet.py")
    assert main(["emit", write(SPEC), "-o", "out", "--allow-python"]) == 0
    assert (tmp_path / "out" / "wavelet.py").read_text() == WAVELET
    code = (tmp_path / "out" / "net.py").read_text()
    assert code.startswith(
        '"""Net, from net.dlspec. It needs PyTorch and wavelet.py; it is yours to keep and change."""'
    )
    assert 'self.wave = Wavelet(input_shape=(None, 8, config.width), levels=1, kind="mean")' not in code  # the default
    assert 'self.wave = Wavelet(input_shape=(None, 8, config.width), kind="mean")' in code
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "out"]
    assert subprocess.run(lint, capture_output=True, text=True).returncode == 0
    start = (
        "import torch, net; m = net.Net(); m.init_weights(torch.Generator().manual_seed(1));"
        "print(*m(torch.zeros(3, 1, 8, 8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, cwd="out")
    assert done.stdout == "3 10\n", done.stderr


def analysed(python: str = WAVELET) -> Any:
    found = analyse(Source("net.dlspec", SPEC, {"wavelet.py": python}), allow_python=True)
    assert told(found) == []
    return found


def program_of(artefact: Any) -> Program:
    return Program(artefact.name, artefact.model_code, artefact.recipe_code, artefact.settings, artefact.beside)


def test_weights_are_counted_and_named_as_pytorch_has_them() -> None:
    found = analysed()
    model = program_of(emit(found)).make_model()
    graph = found.graphs["Net"]
    parameters = {weight.key: weight.shape for weight in weights(graph)}
    assert parameters == {name: tuple(one.shape) for name, one in model.named_parameters()}
    assert [buffer.key for buffer in buffers(graph)] == ["wave.offset"]
    costs = plan(graph)
    assert costs.parameters == sum(one.numel() for one in model.parameters()) and costs.uncounted == ("Wavelet",)


def test_initial_weights_are_the_layers_own_drawn_by_the_seed() -> None:
    program = program_of(emit(analysed()))
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, other = program.make_model(), program.make_model()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    wave: Any = one.wave
    assert torch.equal(wave.offset, torch.tensor([0.25])) and wave.gain.std() > 0 and abs(wave.gain.mean() - 1) < 0.2
    different = Program(
        program.name, program.model_code, program.recipe_code, {**program.settings, "seed": 9}, program.beside
    ).make_model()
    assert not torch.equal(different.get_parameter("wave.gain"), wave.gain)


def test_what_an_emitted_module_imports_comes_from_no_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wavelet.py").write_text("raise AssertionError('this is another file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    artefact = emit(analysed())
    assert load_text("net", artefact.model_code, artefact.beside).Net().wave.levels == 1
    assert "wavelet" not in sys.modules


def test_a_difference_in_the_file_is_told() -> None:
    same, other = compare(analysed(), analysed()), compare(analysed(), analysed(WAVELET.replace("0.25", "0.5")))
    assert same.equal
    assert [(change.place, change.text) for change in other.changes] == [
        ("wavelet.py", "its layers are written otherwise")
    ]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_the_documentation_shows_works(repo: Path) -> None:
    page = (repo / "docs" / "prose" / "python.md").read_text()
    (python,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (spec,) = re.findall(r"^```dlspec python\n(.*?)^```$", page, re.M | re.S)
    found = analyse(Source("net.dlspec", spec, {"wavelet.py": python}), allow_python=True)
    assert told(found) == []
    artefact = emit(found)
    model = load_text("net", artefact.model_code, artefact.beside).Net()
    model.init_weights()
    assert model(torch.zeros(2, 21, 16)).shape == (2, 4)
    scripted = torch.jit.script(load_text("net", artefact.export_code, artefact.beside).Net())
    assert scripted(torch.zeros(3, 9, 16)).shape == (3, 4)


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the spec, whose own file is gone."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "net.dlspec").write_text(SPEC)
    (folder / "wavelet.py").write_text(WAVELET)
    run = dlspec.train(folder / "net.dlspec", folder / "run", device="cpu", allow_python=True).run
    (folder / "wavelet.py").unlink()
    return run


def test_a_run_keeps_the_file_with_its_hash(trained: Path) -> None:
    from hashlib import sha256

    digest = sha256(WAVELET.encode()).hexdigest()
    assert (trained / "wavelet.py").read_text() == WAVELET
    assert json.loads((trained / "resolved.json").read_text())["python"] == {"wavelet.py": digest}
    assert json.loads((trained / "manifest.json").read_text())["texts"]["wavelet.py"] == digest


@pytest.mark.parametrize("verb", ["evaluate", "resume", "predict", "export"])
def test_verbs_of_a_run_ask_for_permission_again(trained: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"predict": ["--input", "x.npy"], "export": ["-o", str(trained.parent / "out")]}
    assert main([verb, str(trained), *more.get(verb, [])]) == 1
    said = capsys.readouterr().err
    assert "has layers written in Python: wavelet.py is a program" in said and "--allow-python" in said


def test_a_run_goes_on_and_is_evaluated_from_its_own_copy(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    assert main(["evaluate", str(run), "--allow-python"]) == 0
    assert main(["resume", str(run), "--allow-python", "--set", "train.steps=8"]) == 0
    model = dlspec.load(run, allow_python=True)
    assert not model.training and model.get_parameter("wave.mix.weight").shape == (8, 8)


def test_an_edited_copy_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "wavelet.py").write_text(f"{WAVELET}\nopen({str(tmp_path / 'ran')!r}, 'w')\n")
    assert main(["evaluate", str(run), "--allow-python"]) == 1
    assert "is not the file that the run was trained with" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert main(["evaluate", str(run), "--allow-python", "--trust-run-code"]) == 0
    assert (tmp_path / "ran").exists()


def test_an_edited_record_is_refused(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    text = (run / "resolved.json").read_text()
    (run / "resolved.json").write_text(text.replace("four levels at most", "five levels at most"))
    with pytest.raises(Refused, match="damaged or was edited"):
        open_run(run, allow_python=True)


@pytest.mark.slow
def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    program = program_of(emit(analysed()))
    assert verify_resume(program, tmp_path, 6, device="cpu").restart == 3


def test_a_library_asks_for_permission_too(tmp_path: Path) -> None:
    (tmp_path / "net.dlspec").write_text(SPEC)
    (tmp_path / "wavelet.py").write_text(WAVELET)
    spec = tmp_path / "net.dlspec"
    assert [d.code for d in dlspec.check(spec)] == ["python-not-allowed"]
    assert dlspec.check(spec, allow_python=True) == []
    with pytest.raises(SpecError):
        dlspec.compile(spec)
    assert list(dlspec.compile(spec, allow_python=True).files) == ["net.py", "net_recipe.py", "wavelet.py"]


def test_what_a_layer_raises_later_is_told_at_its_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """With real numbers only: on the meta device and with zeros it passes."""
    failing = "        if x.device.type == 'cpu' and self.training:\n            raise ArithmeticError('no')\n"
    text = WAVELET.replace("        return self.mix(x)", f"{failing}        return self.mix(x)")
    write(text, "wavelet.py")
    assert main(["train", write(SPEC), "--allow-python", "--device", "cpu"]) == 1
    line = text.splitlines().index("            raise ArithmeticError('no')") + 1
    assert f"error: wavelet.py:{line} fails: ArithmeticError: no\n" in (said := capsys.readouterr().err)
    assert "The line is `raise ArithmeticError('no')`." in said and "Traceback" not in said


# --- exports --------------------------------------------------------------------------------------------------------


def test_it_is_exported_with_proof(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    report = dlspec.export(trained, tmp_path / "out", allow_python=True)
    assert {name: facts["proof"]["ok"] for name, facts in report["files"].items()} == {"net.onnx": True, "net.pt": True}
    model = onnx.load(tmp_path / "out" / "net.onnx")
    assert {entry.domain for entry in model.opset_import} == {""}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == ["B", 1, 8, 8]


def test_what_the_exporters_do_not_follow_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    (tmp_path / "net.dlspec").write_text(SPEC)
    (tmp_path / "wavelet.py").write_text(
        WAVELET.replace(
            "        return self.mix(x)",
            "        global last\n        last = str(x.sum().item())\n        return self.mix(x)",
        )
    )
    run = dlspec.train(tmp_path / "net.dlspec", tmp_path / "run", device="cpu", allow_python=True).run
    with pytest.raises(Refused, match=r"TorchScript cannot compile wavelet\.py"):
        dlspec.export(run, tmp_path / "out", formats=["torchscript"], allow_python=True)
    assert not (tmp_path / "out").exists()


def traced(text: str, line: str, ports: str) -> tuple[Any, Metadata, torch.nn.Module]:
    """A model as PyTorch's exporter writes it, with what it says of itself."""
    found = used(text, line, ports)
    assert told(found) == []
    graph, artefact = found.graphs["Net"], emit(found)
    settings = model_settings(graph, 0)
    inputs, outputs = (
        tuple(Port(port["name"], port["dtype"], tuple(port["dims"])) for port in settings[side])
        for side in ("inputs", "outputs")
    )
    metadata = Metadata("0", "", inputs, outputs, settings["limits"])
    model = load_text("net", artefact.model_code, artefact.beside).Net()
    model.init_weights(torch.Generator().manual_seed(1))
    return trace_onnx(model, metadata, {"tokens": 50}), metadata, model


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        (
            "Embedding(50, 16) -> SelfAttention(2) -> Wave -> Linear(4)",
            "(tokens: int[B, T <= 64]) -> (y: [B, T, 4])",
        ),
        ("Conv2d(8, 3, stride = 2, pad = same) -> Wave", "(x: [B, 3, 16 * H, 16 * W]) -> (y: [B, 8, 8 * H, 8 * W])"),
    ],
)
def test_open_dims_stay_open_in_the_file(tmp_path: Path, line: str, ports: str) -> None:
    pytest.importorskip("onnxscript")
    model, metadata, module = traced(PLAIN, line, ports)
    save(model, tmp_path / "net.onnx")
    check_onnx(tmp_path / "net.onnx", metadata)
    run = open_onnx(tmp_path / "net.onnx").run
    proof = prove(run, module, metadata, step=9, ranges={"tokens": 50}, shaken=lambda other: run)
    assert len(proof.stages[0].comparisons) >= 3 and all(one.ok for one in proof.stages[0].comparisons)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("x * 2 if x.sum() > 0 else x", "PyTorch's exporter cannot follow this model: "),
        ("x * float(x.shape[1])", "PyTorch's exporter takes T of the input x for a fixed length"),
    ],
)
def test_what_pytorchs_exporter_does_not_follow_is_told(out: str, said: str) -> None:
    pytest.importorskip("onnxscript")
    with pytest.raises(Refused, match=re.escape(said)):
        traced(changed(out=out), "Wave", "(x: [B, T, 8]) -> (y: [B, T, 8])")
