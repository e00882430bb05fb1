"""An artefact of the compiler as something that runs: two texts and their settings.

The texts become modules without touching the disk, and never come from a run directory: what runs is what the
compiler emitted in this process (or what the caller read on purpose).
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import json
import linecache
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .errors import Refused
from .seeds import derive_seed
from .settings import Phase, Settings, read_settings

# What a recipe may import beside PyTorch -> the extra of dlspec that brings it.
EXTRAS = {"pytorch_optimizer": "optimizers", "sacrebleu": "translation"}

_loading = threading.Lock()


@dataclass(frozen=True)
class Program:
    """What the compiler hands over: the model's text, the recipe's text, and the settings as JSON values."""

    name: str
    model_code: str
    recipe_code: str
    settings: Mapping[str, Any]
    beside: Mapping[str, str] = field(default_factory=dict)
    """What model and recipe import: layers written in Python, kernels. Their texts by file name."""

    @cached_property
    def options(self) -> Settings:
        """The settings, typed."""
        return read_settings(self.settings)

    @cached_property
    def hash(self) -> str:
        """sha256 over everything that decides what is computed."""
        parts = [self.name, self.model_code, self.recipe_code, canonical_json(self.settings)]
        parts += [canonical_json(dict(self.beside))] if self.beside else []
        return sha256(canonical_json(parts).encode()).hexdigest()

    @property
    def texts(self) -> dict[str, str]:
        """The emitted code by file name, and what it imports."""
        emitted = {f"{self.name}.py": self.model_code, f"{self.name}_recipe.py": self.recipe_code}
        return emitted | dict(self.beside)

    @property
    def has_layers_in_python(self) -> bool:
        """Code that somebody wrote, which may do anything."""
        return any(file != f"{self.name}_kernels.py" for file in self.beside)

    @cached_property
    def model_module(self) -> ModuleType:
        return load_text(self.name, self.model_code, self.beside)

    @cached_property
    def recipe(self) -> ModuleType:
        """Raises Refused where it imports what is not installed."""
        try:
            return load_text(f"{self.name}_recipe", self.recipe_code, self.beside)
        except ModuleNotFoundError as error:
            what = (error.name or "").partition(".")[0]
            if what not in EXTRAS:
                raise
            brings = f'pip install "dlspec[{EXTRAS[what]}]"'
            raise Refused(f"the recipe needs {what}, which is not installed", f"`{brings}` brings it.") from None

    def make_model(self, device: torch.device | str = "cpu") -> nn.Module:
        """The model with the initial weights of the run's seed.

        They are drawn on the CPU, so that they are the same whatever the device. Memory that `init_weights` forgets
        holds NaN and not what happened to lie there: the first loss shows it.
        """
        with torch.device("meta"):
            model: nn.Module = getattr(self.model_module, self.options.model_class)()
        model.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in _tensors(model):
                tensor.fill_(float("nan") if tensor.is_floating_point() else 0)
        generator = torch.Generator("cpu").manual_seed(derive_seed(self.options.seed, "weights"))
        init_weights: Callable[[torch.Generator], None] = getattr(model, "init_weights")  # noqa: B009  nn.Module's getattr says Tensor | Module
        init_weights(generator)
        return model.to(device)

    def make_loss_state(self, device: torch.device | str = "cpu") -> nn.Module:
        """What the loss keeps from batch to batch, before the first: a module with a child for each of it."""
        made: nn.Module = self.recipe.loss_state() if hasattr(self.recipe, "loss_state") else nn.ModuleDict()
        return made.to(device)

    def learning_rate(self, step: int, steps: int, epoch: int, phase: Phase | None = None, *, falls: int = 0) -> float:
        """The rate of update `step` (from 0) of `steps`, where one pass over the data takes `epoch` updates, and
        nothing got better `falls` times."""
        known = {"step": step, "steps": steps, "epoch": epoch, "falls": falls}
        function, arguments = self._schedules[(phase or self.options.phases[0]).learning_rate]
        return function(**{name: known[name] for name in arguments})

    @cached_property
    def _schedules(self) -> dict[str, tuple[Callable[..., float], tuple[str, ...]]]:
        """The functions of the rate, with what each takes."""
        functions = {p.learning_rate: getattr(self.recipe, p.learning_rate) for p in self.options.phases}
        return {name: (function, tuple(inspect.signature(function).parameters)) for name, function in functions.items()}


class TextLoader(importlib.abc.ExecutionLoader):
    """Loads a module from a text, so that tracebacks, inspect.getsource and torch.jit.script can read it."""

    def __init__(self, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_filename(self, fullname: str) -> str:
        return self.filename

    def is_package(self, fullname: str) -> bool:
        return False


def load_text(name: str, text: str, beside: Mapping[str, str] = MappingProxyType({})) -> ModuleType:
    """The module of `text`; the same text under the same name is the same module.

    `beside` are the texts of the files that it imports, by file name; nothing is looked for on the disk.
    """
    with _loading:
        stems = {file.removesuffix(".py"): other for file, other in beside.items()}
        modules = {stem: _load(stem, other, prefix="dlspec-layers:") for stem, other in stems.items()}
        return _load(name, text, modules)


def _load(
    name: str, text: str, modules: Mapping[str, ModuleType] = MappingProxyType({}), *, prefix: str = "dlspec:"
) -> ModuleType:
    """`modules` are those that it imports, by the names it has for them; `prefix` begins its file name in traces."""
    digest = sha256("\0".join([text, *(module.__name__ for module in modules.values())]).encode()).hexdigest()
    unique = f"{name}_{digest[:16]}"
    if unique in sys.modules:
        return sys.modules[unique]
    filename = f"{prefix}{digest}/{name}.py"
    # Entered before anybody asks: linecache would first look for a file of that name below the current folder.
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    spec = importlib.util.spec_from_loader(unique, TextLoader(text, filename))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses look their module up there while it runs
    try:
        with _importable(modules), redirect_stdout(sys.stderr):  # what it prints is no result of a verb
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


@contextmanager
def _importable(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """While a module runs, the names of what it imports lead to these, whatever else is installed under them."""
    hidden = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, before in hidden.items():
            if before is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before


def canonical_json(value: Any) -> str:
    """One text for one value: the form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
