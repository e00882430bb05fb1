"""TorchScript: a module that runs in libtorch without Python, made by scripting a plain-aten emission of the model.

PyTorch has deprecated it (2.11) and does not support it from Python 3.14 on; what it can do, it still does.
"""

from __future__ import annotations

import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from ..errors import ProofFailed, Refused
from ..metadata import Metadata
from ..program import load_text
from ..torch_session import TorchSession
from .leaks import leaked_path, machine_paths


def write_torchscript(
    path: Path,
    name: str,
    code: str,
    class_name: str,
    model: nn.Module,
    beside: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Script the class `class_name` of the module text `code` with the weights of `model`, in evaluation mode.

    `code` has the state-dict keys of `model`; `beside` are the files that it imports (`load_text`). Raises Refused
    where PyTorch cannot, ProofFailed where the file would tell of this machine.
    """
    if sys.version_info >= (3, 14):
        raise Refused(
            "PyTorch does not support TorchScript on Python 3.14 and later",
            "Export with Python 3.11 to 3.13, or to another format: --to onnx.",
        )
    twin = _with_weights(getattr(load_text(name, code, beside), class_name), model)
    with _deprecated_silently():
        try:
            scripted = torch.jit.script(twin)
        except Exception as error:
            if not beside:
                raise
            raise _not_scripted(error, beside) from None
        scripted.save(str(path))
    _strip_sources(path)
    _require_no_paths(path)


def _not_scripted(error: Exception, beside: Mapping[str, str]) -> Refused:
    """TorchScript compiles a part of Python, and a layer that somebody wrote may use more than that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0].rstrip(":.") if lines else type(error).__name__
    place = re.search(r'File "dlspec-layers:\w+/(\w+\.py)", line (\d+)', str(error))
    where = f"{place[1]}:{place[2]}" if place and place[1] in beside else " and ".join(beside)
    return Refused(f"TorchScript cannot compile {where}: {said}", "`--to onnx` leaves TorchScript out.")


def open_torchscript(path: Path, metadata: Metadata) -> TorchSession:
    """A file of `write_torchscript`. It is a program: open only files that you trust."""
    with _deprecated_silently():
        module = torch.jit.load(str(path), map_location="cpu")
    return TorchSession(metadata, module)


def _with_weights(make: type[nn.Module], model: nn.Module) -> nn.Module:
    """A module of the class `make` with the weights of `model`, in evaluation mode and without gradients."""
    with torch.device("meta"):
        twin = make()
    twin.to_empty(device="cpu")
    # Fills what is no state: tables that the model computes for itself; and ties what `to_empty` has parted.
    twin.init_weights(torch.Generator())  # pyright: ignore[reportCallIssue]  nn.Module types attributes as Tensor | Module
    twin.load_state_dict({key: tensor.cpu() for key, tensor in model.state_dict().items()})
    return twin.eval().requires_grad_(False)


@contextmanager
def _deprecated_silently() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
        yield


def _strip_sources(path: Path) -> None:
    """Leave out the tables from instructions to lines of source files: they name torch's own files by full path."""
    whole = path.with_name(f"{path.name}.whole")
    path.rename(whole)
    try:
        with (
            zipfile.ZipFile(whole) as old,
            zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, strict_timestamps=False) as new,
        ):
            for entry in old.infolist():
                if not entry.filename.endswith(".debug_pkl"):
                    # A fresh ZipInfo: stored, and of 1980 as torch itself dates its entries.
                    new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
    finally:
        whole.unlink()


def _require_no_paths(path: Path) -> None:
    paths = machine_paths()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            if entry.split("/")[1] in ("data", "constants"):
                continue  # numbers
            found = leaked_path(archive.read(entry), paths)
            if found:
                raise ProofFailed(f"{path.name} names a folder of this machine: {found} in {entry}")
