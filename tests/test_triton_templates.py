"""Every template of a kernel is in the dialect that specialising takes, whatever is fixed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from triton_attention_cases import file_text
from triton_files import hold_to_ruff

from dlspec.compiler.backends.triton import specialise_read
from dlspec.compiler.backends.triton.specialise import specialise


def templates() -> list[str]:
    """Those of kernels; some are plain functions."""
    found = sorted(path for path in specialise_read.TEMPLATES.glob("*.py") if path.stem != "__init__")
    return [path.stem for path in found if "import torch" not in path.read_text(encoding="utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("name", templates())
def test_every_template_is_in_the_dialect(name: str, tmp_path: Path) -> None:
    """Whatever is fixed: nothing, when no comment is lost, or all that an `if` reads, to true or to false."""
    text = (specialise_read.TEMPLATES / f"{name}.py").read_text(encoding="utf-8")
    tested = set(re.findall(r"\b[A-Z][A-Z_]+\b", " ".join(re.findall(r"\bif (.*):$", text, re.MULTILINE))))
    for root, parameters in re.findall(r"^def (\w+)\(([^()]*)\)", text, re.MULTILINE):
        features = tested & set(re.findall(r"(\w+): tl\.constexpr", parameters)) - {"WIDTH", "PADDED", "BLOCK"}
        for value in (None, False, True):
            fixed = {} if value is None else dict.fromkeys(features, value)
            text_of_root = file_text(specialise([f"{name}.{root}"], fixed))
            (tmp_path / f"{root}_{value}.py").write_text(text_of_root, encoding="utf-8")
    whole = " ".join(words(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*_None.py"))
    for comment in re.findall(r"# (.*)", text):
        assert comment == "fmt: skip" or words(comment) in whole
    hold_to_ruff({}, tmp_path)


def words(text: str) -> str:
    """Without marks of comments and line ends, at which they may be filled anew."""
    return " ".join(re.sub(r"^ *# ", "", text, flags=re.MULTILINE).split())
