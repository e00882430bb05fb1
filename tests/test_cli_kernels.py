"""Why kernels that were asked for do not run: a line each, once. Names of the spec stay its own beside theirs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_cases import Write, write
from triton.compiler.errors import CompilationError
from triton.runtime.errors import OutOfResources, PTXASError
from triton_files import compiled, loaded

from dlspec.api.compilation import compile_to_run
from dlspec.api.kernel_choice import compile_for_device
from dlspec.cli.main import main
from dlspec.grammar import Source
from dlspec.runtime import Refused, device
from dlspec.runtime.program import load_text

__all__ = ["write"]  # a fixture

WIDE = """dlspec 1
model Net: (x: [B, T <= 16, 1024]) -> (y: [B, T, 1024]) {
  repeat(2) { residual { attn: SelfAttention(2) } } -> LayerNorm
}
"""
CLASSIFIES = """dlspec 1
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) { flatten -> LayerNorm -> Linear(10) }
train Net {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  steps     = 2
  batch     = 8
}
"""
ATTENDS = """dlspec 1
model Net: (tokens: int[B, T <= 16]) -> (logits: [B, T, 256]) {
  Embedding(256, 16) -> SelfAttention(2, causal = true) -> Linear(256)
}
train Net {
  data      = text("a.txt", tokenizer = bytes, window = 16)
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps     = 1
  batch     = 2
  precision = PRECISION
}
"""
NO_GPU = "note: the kernels run on a GPU: on cpu their plain forms do\n"


def test_emit_says_for_what_there_are_none(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(WIDE)
    assert main(["emit", "net.dlspec", "-o", "out", "--kernels", "triton"]) == 0
    reason = "note: SelfAttention runs as PyTorch has it: there are no kernels for heads wider than 256\n"
    assert capsys.readouterr().err == reason
    for word in ("torch", "auto"):
        assert main(["emit", "net.dlspec", "-o", "out", "--kernels", word]) == 0
        assert capsys.readouterr().err == ""


def test_train_says_once_that_there_is_no_gpu(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(CLASSIFIES)
    for options, notes in ((["--kernels", "triton"], 1), ([], 0)):
        assert main(["train", "net.dlspec", "--device", "cpu", *options]) == 0
        assert capsys.readouterr().err.count(NO_GPU) == notes


def test_attention_has_them_in_every_precision(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to say but that there is no GPU."""
    write("To be, or not to be, that is the question. " * 40, "a.txt")
    for precision in ("fp32", "bf16"):
        write(ATTENDS.replace("PRECISION", precision))
        assert main(["train", "net.dlspec", "--device", "cpu", "--kernels", "triton"]) == 0
        told = capsys.readouterr().err
        assert NO_GPU in told and "no kernels for" not in told


def test_a_function_of_the_spec_keeps_its_name() -> None:
    """`attention` is what the kernels' function is called too."""
    text = """dlspec 1
attention(x) = x * 2
model Net: (x: [B, T <= 16, 32]) -> (y: [B, T, 32]) { attention -> attn: SelfAttention(2) -> attention }
"""
    models = [load_text("net", compiled(text, "torch").model_code).Net(), loaded(compiled(text))[0].Net()]
    for model in models:
        model.init_weights(torch.Generator().manual_seed(0))
    x = torch.randn(1, 8, 32)
    assert (models[0](x) - models[1](x)).abs().max() <= 1e-6
    assert "import attention as fused_attention\n" in compiled(text).model_code


def test_the_commands_of_its_page_run(repo: Path, tmp_path: Path) -> None:
    page = (repo / "docs" / "reference" / "kernels.md").read_text(encoding="utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    (script,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    command = ["bash", "-c", f"set -eu\n{script}"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    written = tmp_path / "out" / "gpt_kernels.py"
    assert run.stdout.rstrip().endswith(written.read_text(encoding="utf-8").rstrip())


def test_the_spec_of_its_page_has_them_all(repo: Path) -> None:
    page = (repo / "docs" / "reference" / "kernels.md").read_text(encoding="utf-8")
    (spec,) = re.findall(r"^```dlspec\n(.*?)^```$", page, re.M | re.S)
    artefact = compiled(spec)
    kinds = {variant.kind for variant in artefact.variants.values()}
    assert kinds == {"attention", "rotary", "norm", "gated", "linear"} and not artefact.without_kernels


def test_auto_takes_them_where_a_run_begins_on_a_gpu(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run remembers gives them again anywhere."""
    source = Source(write(CLASSIFIES), CLASSIFIES)
    plain = compile_for_device(source, ["train.steps=2"], None, device="auto")
    assert plain.overrides == ("train.steps=2",) and not plain.artefact.kernels
    monkeypatch.setattr(device, "choose_device", lambda _: torch.device("cuda"))
    for reason in ("", "Triton is not installed"):
        monkeypatch.setattr(device, "without_kernels", lambda _, reason=reason: reason)
        for given in (["train.steps=2"], ["train.steps=2", "train.kernels=auto"]):
            settled = compile_for_device(source, given, None, device="auto")
            assert settled.reason == reason
            assert bool(settled.artefact.kernels) is not bool(reason)
            again = compile_to_run(source, settled.overrides, None)
            assert again.files == settled.artefact.files
        settled = compile_for_device(source, ["train.kernels=torch"], None, device="auto")
        assert not settled.artefact.kernels and settled.reason == ""


def test_why_kernels_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.without_kernels(torch.device("cpu")) == "there is no GPU"
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert device.without_kernels(gpu) == "the GPU is older than Ampere"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert device.without_kernels(gpu) == "there is no C compiler, which Triton needs"
    monkeypatch.setattr(device.shutil, "which", lambda name: name == "gcc")
    monkeypatch.setattr(device, "_has_python_headers", lambda: True)
    assert device.without_kernels(gpu) == ""
    monkeypatch.setenv("CC", "icc")  # Triton takes no other where one is named
    assert device.without_kernels(gpu) == "there is no C compiler, which Triton needs"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("PassManager::run failed"), "cannot compile a kernel of this model here: PassManager"),
        (OutOfResources(240_000, 101_376, "shared memory"), "a kernel of this model here: out of resource: shared"),
        (PTXASError("Internal Triton PTX codegen error\n`ptxas` stderr:"), "a kernel of this model here: PTXAS error"),
        (subprocess.CalledProcessError(1, ["gcc", "__triton_launcher.c"]), "what starts its kernels: `gcc` failed"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_triton_cannot_do_on_a_machine_is_told(error: Exception, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught, device.device_faults_are_told():
        raise error
    assert "`--set train.kernels=torch`" in caught.value.help


@pytest.mark.parametrize(
    "error",
    [CompilationError("", ast.parse("x"), "no such name"), subprocess.CalledProcessError(1, ["gcc", "other.c"])],
    ids=lambda given: type(given).__name__,
)
def test_what_triton_cannot_read_is_a_bug_of_ours(error: Exception) -> None:
    with pytest.raises(type(error)), device.device_faults_are_told():
        raise error


def test_kernels_need_the_headers_of_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(device.shutil, "which", lambda name: name == "gcc")
    monkeypatch.setattr(device.sysconfig, "get_paths", lambda scheme: {"include": str(tmp_path / "nowhere")})
    for name in ("CPATH", "C_INCLUDE_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert "there is no Python.h, which Triton needs" in device.without_kernels(gpu)
    (tmp_path / "Python.h").touch()
    monkeypatch.setenv("CPATH", f"elsewhere:{tmp_path}")
    assert device.without_kernels(gpu) == ""
