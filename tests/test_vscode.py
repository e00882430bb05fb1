"""The VS Code extension: its files fit together, its grammar reads every spec, it starts the server, it is packed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dlspec.compiler.semantics.language import COMBINATORS, RESERVED

pytestmark = pytest.mark.no_torch

# What reads TextMate grammars in the editor, and what packs extensions; the versions that the tests ran with.
TOOLS = {"vscode-textmate": "9.3.2", "vscode-oniguruma": "2.0.1", "@vscode/vsce": "4.1.0"}

Line = list[tuple[str, list[str]]]


@pytest.fixture(scope="module")
def extension(repo: Path) -> Path:
    return repo / "editor" / "vscode"


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node on this machine")
    return program


@pytest.fixture(scope="module")
def npm(node: str) -> str:
    program = shutil.which("npm")
    if program is None:
        pytest.skip("no npm on this machine")
    return program


@pytest.fixture(scope="module")
def tools(npm: str, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with node_modules, made once in the environment that the tests run in, if that is one."""
    wanted = TOOLS | manifest(extension)["dependencies"]
    home = Path(sys.prefix) if sys.prefix != sys.base_prefix else tmp_path_factory.mktemp("node")
    folder = home / "vscode-tools"
    made_from = folder / "made-from"
    recipe = json.dumps(wanted, sort_keys=True)
    with _one_at_a_time(home / "vscode-tools.lock"):
        if made_from.exists() and made_from.read_text() == recipe:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}))
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not fetch the editor's tools in time")
        if done.returncode:
            pytest.skip(f"npm cannot fetch the editor's tools: {done.stderr.strip().splitlines()[-1:]}")
        made_from.write_text(recipe)
    return folder


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """For the processes that share the tests."""
    import fcntl  # not on Windows, where there is one process

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def manifest(extension: Path) -> dict[str, Any]:
    return json.loads((extension / "package.json").read_text(encoding="utf-8"))


# --- files -------------------------------------------------------------------------------------------------------


def test_the_files_that_are_named_are_there(extension: Path) -> None:
    about = manifest(extension)
    (language,) = about["contributes"]["languages"]
    (grammar,) = about["contributes"]["grammars"]
    named = [about["main"], language["configuration"], grammar["path"], "README.md"]
    assert all((extension / name).is_file() for name in named)
    read = json.loads((extension / grammar["path"]).read_text(encoding="utf-8"))
    assert (read["scopeName"], language["id"]) == (grammar["scopeName"], grammar["language"])
    json.loads((extension / language["configuration"]).read_text(encoding="utf-8"))


def test_it_has_the_package_s_version_and_licence(extension: Path, repo: Path) -> None:
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    version = re.search(r'__version__ = "(.+)"', (repo / "__init__.py").read_text())
    assert version is not None
    assert (manifest(extension)["version"], manifest(extension)["license"]) == (version.group(1), project["license"])


def test_the_grammar_knows_the_words_of_the_language(extension: Path) -> None:
    text = (extension / "dlspec.tmLanguage.json").read_text(encoding="utf-8")
    known = set(re.findall(r"[a-z_]+", text))
    assert known >= RESERVED
    (combinators,) = re.findall(r"\(\?:(residual[a-z_|]+)\)", text)
    assert set(combinators.split("|")) == COMBINATORS


# --- the grammar, read as the editor reads it ----------------------------------------------------------------------

SAMPLE = """dlspec 1
# A comment with a "quote.
import std.transformer
names = "text # no comment"
rate = 1.5e-4
part = 5%
f(x) = max(x, 0) ^ 2
default Conv2d(bias = false)
block Mlp(hidden = 4 * dim): [B, T, D] -> [B, T, D] {
  up: Linear(hidden) -> relu -> down: Linear(D) as y
  residual(pre = none) { attn: SelfAttention(8) }
  x = y if i % 2 == 0 else none
}
model M: (tokens: int[B, T <= 8]) -> (y: [B]) { conv2d: Conv2d(3) }
train M as second {
  checkpoint = every(1_000)
  rates = [blocks.0.attn = 2]
  phase judge { update = [up] }
}
"""

SCOPES = [
    (1, "dlspec", "keyword.other.header"),
    (1, "1", "constant.numeric.version"),
    (2, '# A comment with a "quote.', "comment.line"),
    (3, "import", "keyword.control.import"),
    (3, "std.transformer", "entity.name.namespace"),
    (4, "names", "variable.other.definition"),
    (4, '"text # no comment"', "string.quoted"),
    (5, "1.5e-4", "constant.numeric"),
    (6, "5%", "constant.numeric.percent"),
    (7, "f", "support.function"),
    (7, "^", "keyword.operator.arithmetic"),
    (8, "default", "storage.modifier"),
    (8, "Conv2d", "support.class"),
    (8, "bias", "variable.parameter"),
    (8, "false", "constant.language"),
    (9, "block", "storage.type"),
    (9, "Mlp", "entity.name.type"),
    (9, "hidden", "variable.parameter"),
    (9, "B", "variable.other.dim"),
    (10, "up", "entity.name.tag.label"),
    (10, "Linear", "support.class"),
    (10, "->", "keyword.operator.arrow"),
    (10, "as", "keyword.control"),
    (11, "residual", "keyword.control.combinator"),
    (11, "attn", "entity.name.tag.label"),
    (12, "x", "variable.other.definition"),
    (12, "if", "keyword.control"),
    (12, "==", "keyword.operator.comparison"),
    (12, "%", "keyword.operator.arithmetic"),
    (14, "int", "support.type"),
    (14, "<=", "keyword.operator.comparison"),
    (14, "conv2d", "entity.name.tag.label"),
    (15, "train", "storage.type.section"),
    (15, "second", "entity.name.section"),
    (16, "checkpoint", "variable.other.definition"),
    (16, "every", "support.function"),
    (16, "1_000", "constant.numeric"),
    (18, "judge", "entity.name.section"),
]


def tokenised(node: str, tools: Path, repo: Path, files: list[Path]) -> dict[str, list[Line]]:
    script = tools / "tokenise.js"  # beside node_modules, where node looks for what it asks for
    shutil.copy(repo / "tests" / "vscode" / "tokenise.js", script)
    grammar = repo / "editor" / "vscode" / "dlspec.tmLanguage.json"
    done = subprocess.run([node, script, grammar, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def sample(node: str, tools: Path, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    file = tmp_path_factory.mktemp("sample") / "sample.dlspec"
    file.write_text(SAMPLE)
    return tokenised(node, tools, repo, [file])[str(file)]


@pytest.mark.parametrize(("line", "word", "scope"), SCOPES)
def test_words_are_coloured_for_what_they_are(sample: list[Line], line: int, word: str, scope: str) -> None:
    found = [scopes for text, scopes in sample[line - 1] if text == word]
    assert found, sample[line - 1]
    assert found[0] and found[0][-1].startswith(scope)


def test_every_word_of_every_spec_is_coloured(node: str, tools: Path, repo: Path) -> None:
    """Those that ship and, where they are at hand, those of the design."""
    files = [*(repo / "specs").rglob("*.dlspec"), *(repo.parent / "shared").glob("design/specs/*.dlspec")]
    for name, lines in tokenised(node, tools, repo, files).items():
        plain = [text for line in lines for text, scopes in line if text.strip() and not scopes]
        assert plain == [], name
        written = Path(name).read_text(encoding="utf-8").split("\n")
        assert ["".join(text for text, _ in line).rstrip("\n") for line in lines] == written


def test_comments_and_texts_end_where_the_language_says(node: str, tools: Path, repo: Path) -> None:
    """Held against the lexer, on every spec that ships."""
    from dlspec.grammar import Source
    from dlspec.grammar.lexer import comments, tokens

    files = sorted((repo / "specs").rglob("*.dlspec"))
    read = tokenised(node, tools, repo, files)
    for file in files:
        source = Source(file.name, file.read_text(encoding="utf-8"))
        strings = [token.text for token in tokens(source)[0] if token.kind == "STRING"]
        lines = read[str(file)]
        assert list(_scoped(lines, "string.")) == strings
        assert list(_scoped(lines, "comment.")) == [span.text for span in comments(source)]


def _scoped(lines: list[Line], scope: str) -> Iterator[str]:
    return (text.rstrip() for line in lines for text, scopes in line if scopes and scopes[0].startswith(scope))


# --- the extension -----------------------------------------------------------------------------------------------


def activated(node: str, repo: Path, *command: str) -> list[Any]:
    script, code = repo / "tests" / "vscode" / "activate.js", repo / "editor" / "vscode" / "extension.js"
    done = subprocess.run([node, script, code, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_starts_the_server_and_again_when_the_setting_changes(node: str, repo: Path, extension: Path) -> None:
    setting = manifest(extension)["contributes"]["configuration"]["properties"]["dlspec.command"]
    assert setting["default"] == ["dlspec", "lsp"]
    told = activated(node, repo, *setting["default"])
    client = {
        "id": "dlspec",
        "server": {"command": "dlspec", "args": ["lsp"]},
        "options": {
            "documentSelector": [{"language": "dlspec"}],
            "synchronize": {"fileEvents": {"files": "**/*.{dlspec,py}"}},
        },
    }
    assert told == [client, "start", "stop", client, "start", "stop"]


def test_where_there_is_no_server_it_says_what_to_install(node: str, repo: Path) -> None:
    errors = [one["error"] for one in activated(node, repo, "nowhere") if "error" in one]
    assert errors and "pip install 'dlspec[editor]'" in errors[0] and "dlspec.command" in errors[0]


@pytest.mark.slow
def test_it_is_packed(node: str, tools: Path, repo: Path, extension: Path, tmp_path: Path) -> None:
    """With what the editor packs extensions with; the client library goes with it."""
    copy = tmp_path / "vscode"
    shutil.copytree(extension, copy, ignore=shutil.ignore_patterns("node_modules", "package-lock.json"))
    shutil.copy(repo / "LICENSE", copy / "LICENSE")
    shutil.copytree(tools / "node_modules" / "vscode-languageclient", copy / "node_modules" / "vscode-languageclient")
    needs = [tools / "node_modules" / name for name in needed(tools, "vscode-languageclient")]
    for module in needs:
        shutil.copytree(module, copy / "node_modules" / module.name, dirs_exist_ok=True)
    packer = tools / "node_modules" / "@vscode" / "vsce" / "vsce"
    command = [node, packer, "package", "--allow-missing-repository", "--out", tmp_path / "dlspec.vsix"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tmp_path / "dlspec.vsix") as packed:
        names = set(packed.namelist())
    files = ("extension.js", "dlspec.tmLanguage.json", "language-configuration.json", "package.json")
    assert names >= {f"extension/{name}" for name in files}
    assert "extension/node_modules/vscode-languageclient/node.js" in names


def needed(tools: Path, module: str) -> set[str]:
    """The modules that one needs, and those that they need."""
    found: set[str] = set()
    todo = [module]
    while todo:
        about = json.loads((tools / "node_modules" / todo.pop() / "package.json").read_text(encoding="utf-8"))
        new = set(about.get("dependencies", {})) - found
        found |= new
        todo += new
    return found
