"""Every code that can be reported has a page, whose wrong spec fires it and whose right one does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dlspec.cli.codes import PAGES, Code, read_codes
from dlspec.cli.main import main
from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.language import RESERVED
from dlspec.editor.documentation import pages, words
from dlspec.editor.keywords import KEYWORDS
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

CODES = read_codes()
# About a file, the data or the command, not about the text of a spec.
WITHOUT_A_SPEC = {
    *("bad-data", "bad-override", "circular-import", "file-name", "not-text", "python-file", "python-layer"),
    *("too-deep", "unfit-data"),
    "unreadable-file",
}
REPORTED = re.compile(r'\(\s*"([a-z]+(?:-[a-z]+)+)",')


def codes_of(text: str) -> set[str]:
    return {d.code for d in analyse(Source("spec.dlspec", text)).diagnostics}


@pytest.mark.parametrize(
    "code", [code for code in CODES.values() if code.wrong is not None], ids=lambda code: code.name
)
def test_the_wrong_spec_fires_and_the_right_one_does_not(code: Code) -> None:
    assert code.wrong is not None and code.right is not None and code.text
    assert code.name in codes_of(code.wrong)
    assert code.name not in codes_of(code.right)


def test_a_right_spec_of_ours_is_right_altogether(repo: Path) -> None:
    for _, _, right in _own_pages(repo):
        assert codes_of(right) == set(), right


def test_a_wrong_spec_of_ours_has_the_one_mistake(repo: Path) -> None:
    for name, wrong, _ in _own_pages(repo):
        assert codes_of(wrong) == {name}


def _own_pages(repo: Path) -> list[tuple[str, str, str]]:
    text = (repo / "cli" / "mistakes.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^## (\S+)$", text, re.M))
    return [(c.name, c.wrong, c.right) for c in CODES.values() if c.name in names and c.wrong and c.right]


def test_every_code_of_the_sources_has_a_page(repo: Path, package_files: tuple[str, ...]) -> None:
    reported = {
        code
        for name in package_files
        if name.endswith(".py") and name.startswith(("grammar/", "compiler/", "cli/", "api/"))
        for code in REPORTED.findall((repo / name).read_text(encoding="utf-8"))
    }
    assert len(reported) > 60
    assert reported - CODES.keys() == set()
    assert {name for name, code in CODES.items() if code.wrong is None} <= WITHOUT_A_SPEC


def test_no_code_has_two_pages() -> None:
    names = [name for page in PAGES for name in re.findall(r"^## (\S+)$", page.read_text(encoding="utf-8"), re.M)]
    assert len(names) == len(set(names))


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "shape-mismatch"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("shape-mismatch\n\nTwo shapes")
    assert "    Linear(5)\n" in out and "[shape-mismatch]\n  --> spec.dlspec:2:" in out and "    Linear(4)\n" in out
    assert main(["explain", "[conflict]", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["code"] == "conflict" and "conflict" in codes_of(document["wrong"])
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == sorted(CODES)
    assert all(len(line.split()) > 2 for line in listed)
    assert main(["explain", "unreadable-file"]) == 0
    assert "wrong" not in capsys.readouterr().out


@pytest.mark.parametrize("word", words())
def test_every_word_of_the_language_is_explained(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == 0
    told = capsys.readouterr().out
    assert told.startswith(word)
    for page in pages(word):
        assert page.signature in told
        assert all(option.name in told for option in page.options)


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_every_reserved_word_is_explained(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == 0
    assert KEYWORDS[word].signature in capsys.readouterr().out


def test_options_and_the_words_of_other_tools_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "kernel"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("kernel is an option of\n\n    Conv1d ") and "ConvTranspose2d" in told
    assert main(["explain", "hidden_size"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("hidden_size of other tools is written dim here.\n\ndim is an option of\n")
    assert "Embedding" in told
    assert main(["explain", "num_layers"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("num_layers of other tools is written layers here.\n\nlayers is an option of")
    assert "LSTM" in told
    for word, here in (("nn.Linear", "Linear"), ("torch.nn.ReLU", "relu"), ("nn.CrossEntropyLoss", "cross_entropy")):
        assert main(["explain", word]) == 0
        assert capsys.readouterr().out.startswith(f"{word} of other tools is written {here} here.\n\n{here}")
    assert main(["explain", "nn.Nothing"]) == 2
    assert "there is no code and no word nn.Nothing" in capsys.readouterr().err
    assert main(["explain", "kernel", "--json"]) == 0
    assert {"of": "Conv2d", "name": "kernel"}.items() <= json.loads(capsys.readouterr().out)["options"][1].items()


def test_a_call_of_a_key_is_explained_and_the_option_of_its_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "patience"]) == 0
    told = capsys.readouterr().out
    assert told.startswith('patience(validations, on = "validation.loss")') and "early_stop = patience(5" in told
    assert "patience is an option too, of\n\n    plateau  plateau(patience = 3" in told
    assert main(["explain", "every"]) == 0
    told = capsys.readouterr().out
    assert all(f"{key} = every(" in told for key in ("validate", "checkpoint", "sample"))


def test_what_an_option_takes_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "deepnorm"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("deepnorm is a word of\n\n    scale of residual  A fixed number") and "DeepNorm" in told
    assert main(["explain", "zeros"]) == 0
    assert "init of Weight" in capsys.readouterr().out
    assert main(["explain", "triton", "--json"]) == 0
    assert {"of": "train", "name": "kernels"}.items() <= json.loads(capsys.readouterr().out)["options"][-1].items()


def test_a_word_of_other_tools_has_the_meaning_it_has_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "CosineAnnealingLR"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("CosineAnnealingLR of other tools is written cosine here.\n\ncosine(length")
    assert "two values of one shape" not in told  # the loss of that name


def test_a_word_with_two_meanings_has_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mse", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pages"]) == 2
    assert main(["explain", "Liner"]) == 2
    assert "`dlspec explain Linear`" in capsys.readouterr().err
