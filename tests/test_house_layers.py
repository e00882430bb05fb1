"""Who may import whom, and that the half without torch never loads a framework."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_torch

# Folder (or module of the root): what it may import besides itself. `dlspec` is the root, for its version.
MAY_IMPORT = {
    "__init__": {"api"},
    "__main__": {"cli"},
    "api": {"dlspec", "grammar", "compiler", "runtime"},
    "cli": {"dlspec", "api", "editor", "grammar", "compiler", "runtime"},
    "compiler": {"dlspec", "grammar"},
    "editor": {"dlspec", "grammar", "compiler"},
    "grammar": set(),
    "runtime": {"dlspec"},
}
FRAMEWORKS = {
    *("libcst", "ml_dtypes", "numpy", "onnx", "onnx_ir", "onnxruntime"),
    *("safetensors", "scipy", "sklearn", "tokenizers", "torch", "triton"),
}
HEAVY = "runtime"  # the one part that may load them at once
# Folders in which a framework may stand at the top of a file, since they are loaded by the verbs that need it.
AT_THE_TOP = {
    "compiler/backends/onnx/": {"ml_dtypes", "numpy", "onnx", "onnx_ir"},
    "compiler/backends/triton/": {"libcst"},
    "compiler/backends/triton/templates/": {"torch", "triton"},
}
NEVER_IN_COMPILER = {"onnxruntime", "torch", "triton"}


def imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import, and whether it runs when the file is imported."""

    def walk(node: ast.AST, at_top: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, at_top
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, False)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, at_top and not inside)

    yield from walk(tree, True)


def relative_targets(name: str, node: ast.ImportFrom) -> Iterator[str]:
    """Where in the root `from ..x import y` leads from the file `name`: a folder, a module, or "" for outside of it."""
    parts = Path(name).parent.parts
    if node.level > len(parts) + 1:
        yield ""
        return
    base = [*parts[: len(parts) + 1 - node.level], *(node.module.split(".") if node.module else ())]
    if base:
        yield base[0]
        return
    for alias in node.names:
        yield alias.name if alias.name in MAY_IMPORT else "dlspec" if alias.name == "__version__" else "api"


def faults(name: str, source: str) -> Iterator[str]:
    """What is wrong with the imports of a file of the package (its path from the root)."""
    home = name.partition("/")[0].removesuffix(".py")
    at_the_top = set[str]().union(*(allowed for folder, allowed in AT_THE_TOP.items() if name.startswith(folder)))
    for node, at_top in imports(ast.parse(source)):
        where = f"{name}:{node.lineno}: `{ast.unparse(node)}`"
        if isinstance(node, ast.ImportFrom) and node.level:
            for target in relative_targets(name, node):
                if target != home and target not in MAY_IMPORT.get(home, set()):
                    yield f"{where}: {home} may not import {target or 'from outside the package'}"
            continue
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        for root in (module.partition(".")[0] for module in modules):
            if root == "dlspec" or root in MAY_IMPORT:
                yield f"{where}: imports inside the package are relative"
            elif home != HEAVY and root in FRAMEWORKS and at_top and root not in at_the_top:
                yield f"{where}: import it inside the function that needs it"
            elif home == "compiler" and root in NEVER_IN_COMPILER and root not in at_the_top:
                yield f"{where}: the compiler never needs it"


def test_layering(repo: Path, package_files: tuple[str, ...]) -> None:
    found = [
        fault
        for name in package_files
        if name.endswith(".py")
        for fault in faults(name, (repo / name).read_text(encoding="utf-8"))
    ]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("grammar/parser.py", "from ..compiler import ir"),
        ("grammar/parser.py", "from .. import compiler"),
        ("grammar/parser.py", "def f():\n    from ..cli.main import main"),
        ("grammar/parser.py", "import numpy as np"),
        ("grammar/parser.py", "from ... import other"),
        ("compiler/ir/build.py", "from ...runtime.data import read"),
        ("compiler/ir/build.py", "from dlspec.grammar import parse"),
        ("compiler/ir/build.py", "import grammar.tree"),
        ("compiler/ir/build.py", "if True:\n    import torch"),
        ("compiler/ir/build.py", "def f():\n    import torch.nn"),
        ("compiler/ir/build.py", "from ... import check"),
        ("compiler/backends/onnx/write.py", "import torch"),
        ("compiler/backends/pytorch/write.py", "import numpy"),
        ("runtime/train.py", "from ..grammar.diagnostics import SpecError"),
        ("runtime/train.py", "from ..compiler import pipeline"),
        ("runtime/train.py", "from ..api import check"),
        ("runtime/train.py", "from .. import compile"),
        ("cli/train.py", "import torch"),
        ("editor/server.py", "from ..runtime import train"),
        ("editor/hover.py", "from ..cli.console import Console"),
        ("compiler/pipeline.py", "from ..editor import server"),
        ("cli/train.py", "try:\n    from safetensors import torch\nexcept ImportError:\n    pass"),
        ("cli/train.py", "class A:\n    import torch"),
        ("api.py", "from .cli.main import main"),
        ("api.py", "import torch"),
        ("__main__.py", "from .runtime import train"),
    ],
)
def test_a_fault_is_seen(name: str, source: str) -> None:
    assert list(faults(name, source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("grammar/parser.py", "from .tree import Node\nfrom . import tree\nfrom ..grammar import tree"),
        ("compiler/ir/build.py", "from ...grammar.tree import Node\nfrom ..scalars import simplify"),
        ("compiler/pipeline.py", "from .. import __version__, grammar"),
        ("compiler/backends/onnx/write.py", "import numpy as np\nimport onnx_ir as ir"),
        ("compiler/backends/triton/specialise.py", "import libcst as cst"),
        ("compiler/backends/triton/templates/attention.py", "import torch\nimport triton.language as tl"),
        ("compiler/ir/build.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
        ("runtime/train.py", "import torch\nfrom .data import read\nfrom .. import __version__"),
        ("cli/train.py", "from ..runtime import train\ndef run():\n    import torch"),
        ("api.py", "from .compiler import pipeline\nfrom .runtime import train"),
    ],
)
def test_what_is_allowed_passes(name: str, source: str) -> None:
    assert list(faults(name, source)) == []


def test_all_but_the_runtime_loads_no_framework(package_files: tuple[str, ...]) -> None:
    """Every module of it is imported, in one process, and the frameworks are looked for."""
    modules = [
        ".".join(("dlspec", *Path(name).with_suffix("").parts)).removesuffix(".__init__")
        for name in package_files
        if name.endswith(".py") and not name.startswith((f"{HEAVY}/", *AT_THE_TOP))
    ]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[2:]: importlib.import_module(name)\n"
        "print(*sorted(set(sys.argv[1].split(',')) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, ",".join(sorted(FRAMEWORKS)), *modules]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
