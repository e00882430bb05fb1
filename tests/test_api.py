"""The library: what a program calls, without the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import dlspec
from dlspec.api import RuntimeFault, SpecError
from dlspec.api.compilation import NotInThisVersion

NET = """dlspec 1
hidden = 8
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten -> fc: Linear(hidden) -> relu -> head: Linear(10)
}
train MLP {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 3e-3)
  steps     = 5
  batch     = 32
}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_check_takes_a_path_or_a_text() -> None:
    Path("net.dlspec").write_text(NET)
    assert dlspec.check("net.dlspec") == dlspec.check(Path("net.dlspec")) == dlspec.check(NET) == []
    (found,) = dlspec.check(NET.replace("flatten", "flaten"))
    assert found.code == "unknown-name" and found.span.source.name == "spec.dlspec"
    (found,) = dlspec.check(NET, set=["hiden=3"])
    assert found.help == "write `hidden`"
    Path("latin.dlspec").write_bytes("dlspec 1 # é".encode("latin-1"))
    assert [d.code for d in dlspec.check("latin.dlspec")] == ["not-text"]
    with pytest.raises(RuntimeFault, match=r"there is no file none\.dlspec"):
        dlspec.check("none.dlspec")


def test_compile_gives_the_emitted_code() -> None:
    artefact = dlspec.compile(NET, set=["hidden = 24"])
    assert sorted(artefact.files) == ["spec.py", "spec_recipe.py"]
    assert "hidden: int = 24" in artefact.files["spec.py"]
    with pytest.raises(SpecError) as caught:
        dlspec.compile(NET.replace("flatten", "flaten"))
    assert [d.code for d in caught.value.diagnostics] == ["unknown-name"]


def test_train_load_and_export(capfd: pytest.CaptureFixture[str]) -> None:
    Path("net.dlspec").write_text(NET)
    result = dlspec.train("net.dlspec", "first", set=["train.steps=3"])
    assert (result.run, result.step, result.finished) == (Path("first"), 3, "steps")
    model = dlspec.load("first")
    assert not model.training and model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    report = dlspec.export("first", "models", formats=["onnx"])
    assert sorted(os.listdir("models")) == ["export_report.json", "net.onnx"]
    assert report["files"]["net.onnx"]["proof"]["ok"]
    captured = capfd.readouterr()
    assert captured.out == "" and "error" not in captured.err


@pytest.mark.slow
def test_the_command_line_takes_a_run_of_the_library() -> None:
    run = dlspec.train(NET, "first").run
    done = subprocess.run([sys.executable, "-m", "dlspec", "evaluate", str(run)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("loss"), done.stderr


def test_errors_are_exceptions_that_say_what_to_do() -> None:
    with pytest.raises(NotInThisVersion) as later:
        dlspec.train(NET.replace("steps  ", "parallel = ddp\n  steps  "))
    assert "--set train.parallel=none" in later.value.help and isinstance(later.value, SpecError)
    with pytest.raises(RuntimeFault, match="is not a run"):
        dlspec.load("nowhere")
    with pytest.raises(RuntimeFault, match="has no `train` section"):
        dlspec.train(NET[: NET.index("train MLP")])


def test_global_state_is_put_back() -> None:
    torch.manual_seed(11)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    dlspec.train(NET, "first")
    dlspec.export("first", "models", formats=["torchscript"])
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_two_threads_compile_at_once() -> None:
    wrong: list[object] = []

    def work(width: int) -> None:
        for _ in range(5):
            code = dlspec.compile(NET, set=[f"hidden={width}"]).files["spec.py"]
            if f"hidden: int = {width}\n" not in code:
                wrong.append(code)

    threads = [threading.Thread(target=work, args=(width,)) for width in (16, 32, 48)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_importing_the_library_loads_no_framework() -> None:
    program = (
        "import sys, dlspec; dlspec.check('dlspec 1\\n'); dlspec.export;"
        "print(*sorted({'torch', 'numpy', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
