"""The device to train on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from .errors import Refused


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu`, or `cuda` with or without a number. Raises Refused."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise Refused(f"there is no device {name}", "Use auto, cpu or cuda.")
    if kind == "cuda" and not torch.cuda.is_available():
        why = "this PyTorch was built without CUDA" if not torch.backends.cuda.is_built() else "it finds no GPU"
        raise Refused(f"PyTorch cannot use CUDA here: {why}", "Use `--device cpu`.")
    if number and kind == "cuda" and int(number) >= torch.cuda.device_count():
        raise Refused(f"there is no {name}: PyTorch finds {torch.cuda.device_count()} GPUs", "Use a smaller number.")
    return torch.device(name)


OLDEST = (8, 0)
"""The compute capability from which GPUs have bfloat16 and copy into shared memory by themselves (Ampere)."""


def without_kernels(device: torch.device) -> str:
    """Why Triton kernels cannot run on a device; empty where they can."""
    if device.type != "cuda":
        return "there is no GPU"
    if find_spec("triton") is None:
        return "Triton is not installed"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < OLDEST:
        return "the GPU is older than Ampere"
    # Triton builds what starts its kernels where it runs.
    if not _has_c_compiler():
        return "there is no C compiler, which Triton needs"
    if not _has_python_headers():
        return "there is no Python.h, which Triton needs (Debian has it in python3-dev)"
    return ""


def _has_c_compiler() -> bool:
    """One that Triton takes."""
    named = os.environ.get("CC")
    return any(map(shutil.which, ["gcc", "clang"] if named is None else [named]))


def _has_python_headers() -> bool:
    """Where Triton tells its compiler to look, or where that looks by itself."""
    scheme = sysconfig.get_default_scheme()
    if scheme == "posix_local":  # Debian's, whose folder has no headers
        scheme = "posix_prefix"
    folders = [sysconfig.get_paths(scheme=scheme)["include"]]
    for name in ("CPATH", "C_INCLUDE_PATH"):
        folders += os.environ.get(name, "").split(os.pathsep)
    return any(Path(folder, "Python.h").is_file() for folder in folders if folder)


@contextmanager
def device_faults_are_told() -> Iterator[None]:
    """Turns what PyTorch raises where a setting asks too much of the device into Refused."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        text = str(error)
        if "can't allocate memory" in text or "not enough memory" in text:
            raise _out_of_memory() from error
        if "does not have a deterministic implementation" in text:
            operation = text.split(" does not have")[0].split()[-1]
            raise Refused(
                f"{operation} has no deterministic implementation on this device",
                "Set `deterministic = false` in the train section; resumed runs are then close, not equal.",
            ) from error
        if "PassManager::run failed" in text:
            raise _cannot_compile(text) from error
        raise
    except subprocess.CalledProcessError as error:
        command = [*map(str, error.cmd)]
        if not any("triton" in word for word in command):
            raise
        raise Refused(
            f"Triton could not build what starts its kernels: `{command[0]}` failed",
            f"It needs a C compiler with Python.h (Debian has it in python3-dev). {_WITHOUT}",
        ) from error
    except Exception as error:
        # What Triton says of a text is a bug of ours, what it says of a machine is not.
        if type(error).__module__.startswith("triton.") and type(error).__name__ in ("OutOfResources", "PTXASError"):
            raise _cannot_compile(str(error)) from error
        raise


_WITHOUT = "PyTorch's own kernels are there with `--set train.kernels=torch`."


def _cannot_compile(said: str) -> Refused:
    return Refused(f"Triton cannot compile a kernel of this model here: {said.strip().splitlines()[0]}", _WITHOUT)


def _out_of_memory() -> Refused:
    return Refused(
        "the memory of the device is full",
        "Compute the batch in more parts (`accumulate`), make it smaller, or use `precision = bf16`.",
    )
