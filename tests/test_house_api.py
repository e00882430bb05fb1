"""`import dlspec` is free: what it offers is loaded on first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dlspec

pytestmark = pytest.mark.no_torch


def test_importing_costs_nothing() -> None:
    program = "import sys; before = set(sys.modules); import dlspec; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    # An editable install finds the package through a module of its own.
    foreign = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("__editable__")} == {"dlspec"}


def test_every_public_name_can_be_had() -> None:
    assert set(dlspec.__all__) <= set(dir(dlspec))
    for name in dlspec.__all__:
        assert getattr(dlspec, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dlspec' has no attribute 'fit'"):
        dlspec.fit  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
