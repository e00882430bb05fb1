"""Golden files with kernels are what the emitter gives: read their difference when they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_kernels import FILES, GOLDEN
from triton_files import hold_to_ruff


@pytest.mark.parametrize("name", FILES)
def test_the_emitter_gives_the_golden_file(name: str) -> None:
    """`python tests/update_golden_kernels.py` renews it."""
    assert FILES[name]() == (GOLDEN / name).read_text(encoding="utf-8")


def test_they_are_as_ruff_has_them(tmp_path: Path) -> None:
    names = {"gpt_with_kernels.py": "gpt.py", "gpt_kernels.py": "gpt_kernels.py"}
    hold_to_ruff({file: (GOLDEN / name).read_text(encoding="utf-8") for name, file in names.items()}, tmp_path)
