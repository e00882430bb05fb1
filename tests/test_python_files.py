"""What is known of a file with layers written in Python that is not run: nothing of this needs PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_cases import Write, command, write
from python_layer_cases import PLAIN, SPEC, WAVELET, changed, told, used

from dlspec.cli.main import main
from dlspec.compiler.pipeline import analyse
from dlspec.compiler.python_layers.dims import OpenDimError, as_dim, as_number
from dlspec.compiler.python_layers.signature import read_signatures
from dlspec.compiler.semantics.number import Literal, Reference, number, written
from dlspec.grammar import Source, render

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture


# --- refused ------------------------------------------------------------------------------------------------------


def test_without_permission_there_is_one_refusal_and_nothing_follows_from_it() -> None:
    found = analyse(Source("net.dlspec", SPEC, {"wavelet.py": WAVELET}))
    assert [render(d) for d in found.diagnostics] == [
        "error: wavelet.py is a program: its layers are known only by running it, and it may do anything that you may "
        "do [python-not-allowed]\n"
        "  --> net.dlspec:3:8\n"
        '3 | import "wavelet.py"\n'
        "  |        ^^^^^^^^^^^^ not run\n"
        "  = help: read it, and where you trust it say so: the same command with `--allow-python`"
    ]


def test_without_permission_nothing_runs(tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(f"open({str(tmp_path / 'ran')!r}, 'w')\n{WAVELET}", "wavelet.py")
    name = write(SPEC)
    for verb in ("check", "plan", "show", "emit", "train"):
        words = [verb, name, *(["-o", "out"] if verb == "emit" else [])]
        assert main(words) == 1
        assert "[python-not-allowed]" in "".join(capsys.readouterr())
    assert main(["fmt", name]) == 0
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists() and not (tmp_path / "runs").exists()


def test_the_command_refuses_without_a_trace(write: Write) -> None:
    write(WAVELET, "wavelet.py")
    done = command("plan", write(SPEC), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert [d["code"] for d in document["diagnostics"]] == ["python-not-allowed"]


def test_options_are_checked_without_running() -> None:
    assert told(used(PLAIN, "Wave(siz = 4)", allow=False)) == [
        "net.dlspec:2 python-not-allowed",
        "net.dlspec:4 unknown-option",
    ]
    assert told(used(PLAIN, "Wave(2.5)", allow=False)) == [
        "net.dlspec:2 python-not-allowed",
        "net.dlspec:4 wrong-value",
    ]
    assert told(used(PLAIN, "Wav", allow=False)) == ["net.dlspec:2 python-not-allowed", "net.dlspec:4 unknown-layer"]


def test_a_side_input_counts_as_used() -> None:
    text = changed(forward="self, x: Tensor, memory: Tensor")
    ports = "(x: [B, T, 8], m: [B, S, 4]) -> (y: [B, T, 8])"
    assert told(used(text, "x -> Wave(memory = m)", ports, allow=False)) == ["net.dlspec:2 python-not-allowed"]


# --- files that cannot be read --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("class A(:\n", "this is no Python: invalid syntax", 1),
        ("x = 1\n", "this file has no layer: no class of it has a shape rule", 1),
        (changed(init="size"), "the option `size` of `Wave` has no annotation, which says what a spec may give", 8),
        (
            changed(init="size: dict[str, int]"),
            "`dict[str, int]` is nothing that a spec could give to the option `size`",
            8,
        ),
        (changed(init="size: int = len('abc')"), "the default of `size` of `Wave` is known only when the file runs", 8),
        (
            changed(init="size: int = 'a'"),
            "the default of `size` of `Wave` is no value that a spec could give: it takes a whole number",
            8,
        ),
        (changed(init="**more"), "`__init__` takes any number of arguments, and a spec has to know which", 8),
        (
            changed(init="flops: int"),
            "`flops` is a name that dlspec has for every layer, and no option can be called so",
            8,
        ),
        (PLAIN.replace("    @staticmethod\n", ""), "`shape` of `Wave` is asked before there is a module", 11),
        (changed(shape="input_shape, m"), "`shape` of `Wave` takes `m`, which is no option of the layer", 12),
        (changed(forward="self"), "`forward` of `Wave` takes nothing", 15),
        (
            changed(forward="self, x: Tensor, size: Tensor"),
            "`size` is an option of `Wave` and a value that `forward` takes",
            15,
        ),
        (
            PLAIN.replace("class Wave", "class wave"),
            "a layer is called in Capitals, by a name that emitted files do not have: `wave` cannot be had",
            5,
        ),
    ],
)
def test_faults_are_told_at_their_line_of_the_file(text: str, message: str, line: int) -> None:
    found = used(text, allow=False)
    (fault,) = [d for d in found.diagnostics if d.code != "python-not-allowed"]
    assert (fault.code, fault.message) == ("python-file", message)
    assert (fault.span.source.name, fault.span.line) == ("waves.py", line)
    assert [(span.source.name, span.line) for span, _ in fault.labels] == [("net.dlspec", 2)]


def test_a_class_without_a_rule_is_no_layer() -> None:
    text = PLAIN + "\n\nclass Part(nn.Module):\n    pass\n"
    found = used(text, "Part", allow=False)
    assert told(found) == ["net.dlspec:2 python-not-allowed", "net.dlspec:4 unknown-layer"]
    assert found.diagnostics[1].message == "`Part` has no shape rule, so it is no layer"
    assert [(span.source.name, span.line) for span, _ in found.diagnostics[1].labels] == [("waves.py", 19)]


def test_a_file_whose_one_class_has_no_rule_is_told_once() -> None:
    found = used("class Part(nn.Module):\n    pass\n", "Part", allow=True)
    assert told(found) == ["net.dlspec:4 unknown-layer"]


def test_a_file_that_is_not_there(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(WAVELET, "wavelets.py")
    assert main(["check", write(SPEC), "--allow-python"]) == 1
    assert "there is no file wavelet.py [unknown-import]" in (said := capsys.readouterr().out)
    assert 'write "wavelets.py"' in said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("net.py", "the name of the emitted model"),
        ("net_recipe.py", "the name of the emitted recipe"),
        ("my-waves.py", "no name that Python can import"),
        ("random.py", "a module that Python programs import"),
        ("class.py", "a word of Python"),
    ],
)
def test_a_file_that_emitted_code_could_not_import(name: str, why: str) -> None:
    found = [d for d in used(PLAIN, name=name, allow=False).diagnostics if d.code == "file-name"]
    assert [d.message for d in found] == [f"emitted code imports {name} by its name, and `{name[:-3]}` is {why}"]


def test_names_that_are_taken() -> None:
    linear = PLAIN.replace("class Wave", "class Linear")
    assert told(used(linear, "Linear(8)", allow=False)) == [
        "net.dlspec:2 python-not-allowed",
        "net.dlspec:2 taken-name",
    ]
    block = "block Wave: [B, T, D] -> [B, T, D] { relu }\n"
    assert told(used(PLAIN, before=block, allow=False)) == [
        "net.dlspec:2 python-not-allowed",
        "net.dlspec:3 repeated-name",
    ]


# --- signatures -----------------------------------------------------------------------------------------------------


def test_what_a_file_says_of_its_layers() -> None:
    found, faults = read_signatures(Source("wavelet.py", WAVELET))
    assert faults == []
    wavelet = found["Wavelet"]
    assert list(wavelet.options) == ["levels", "kind", "spread"]
    assert wavelet.doc.startswith("`Wavelet(levels)`: [B, T, C]") and wavelet.takes_shape
    assert (wavelet.by_name, wavelet.rule, wavelet.reals) == ({"kind", "spread"}, {"levels"}, {"spread"})


@pytest.mark.parametrize(
    ("annotation", "takes", "refuses"),
    [
        ("int", number(3), number(0.5)),
        ("float", number(0.5), "a"),
        ("bool", True, number(1)),
        ("str", "any text", number(1)),
        ("'int'", number(-3), True),
        ("Literal['a', 'b']", "b", "c"),
        ("int | None", None, "a"),
        ("Optional[float]", None, "a"),
        ("tuple[int, ...]", (number(1), number(2)), number(1)),
        ("tuple[int, int]", (number(1), number(2)), (number(1),)),
    ],
)
def test_kinds_of_options(annotation: str, takes: object, refuses: object) -> None:
    found, faults = read_signatures(Source("waves.py", changed(init=f"input_shape, size: {annotation}")))
    assert faults == []
    kind = found["Wave"].options["size"].kind
    assert kind is not None and kind.check(takes) == takes
    with pytest.raises(ValueError, match=r"\w"):
        kind.check(refuses)


def test_classes_without_a_rule_and_hidden_ones_are_no_layers() -> None:
    text = (
        PLAIN
        + "\n\nclass Part(nn.Module):\n    pass\n\n\nclass _Wave(Wave):\n    pass\n\n\nclass Other(Wave):\n    pass\n"
    )
    assert list(read_signatures(Source("waves.py", text))[0]) == ["Wave", "Other"]


# --- dims of a rule -------------------------------------------------------------------------------------------------


def test_arithmetic_on_open_dims() -> None:
    t, width = (
        as_dim(Reference("T", "open")),
        as_dim(Reference("width", "constant", None, Literal("8", number(8).value))),
    )  # type: ignore[arg-type]
    shown = {
        "T // 2": t // 2,
        "T + 1": t + 1,
        "1 + T": 1 + t,
        "T - 1": t - 1,
        "8 - T": 8 - t,
        "2 * T": 2 * t,
        "T * width": t * width,
        "width": width,
    }
    assert {text: written(as_number(dim)) for text, dim in shown.items()} == {text: text for text in shown}  # type: ignore[arg-type]
    assert width == 8 and width % 4 == 0 and (2 * t) % 2 == 0
    assert t + 1 > t and t == t + 0 and t != t + 1 and not t - t


def test_what_only_the_run_time_knows_is_an_error() -> None:
    t = as_dim(Reference("T", "open"))
    for asks in (lambda: t > 4, lambda: t == 5, lambda: bool(t), lambda: range(t), lambda: t / 2, lambda: bool(t % 2)):  # type: ignore[arg-type]
        with pytest.raises(OpenDimError, match="known only at run time"):
            asks()


def test_permission_alone_loads_no_framework() -> None:
    """PyTorch is loaded by the file, not for it."""
    start = (
        "import sys; sys.path.insert(0, sys.argv[1]); from python_layer_cases import PLAIN, told, used;"
        "print(told(used('import nothing_of_that_name\\n' + PLAIN)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", start, str(Path(__file__).parent)], capture_output=True, text=True)
    assert done.stdout == "['waves.py:1 python-file'] False\n", done.stderr
