"""A kernel as a model calls it: found by watching the model while it runs, so that it is measured on what it is for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """What a model calls of its file of kernels: a function, or the class of a module.

    `features` is what was fixed when its kernels were written, by name.
    """

    kind: str
    features: Values


@dataclass(frozen=True)
class Use:
    """Calls of one entry with arguments of the same types and shapes. `values` are those of the first, by name."""

    name: str
    entry: Entry
    run: Callable[..., Any]
    values: Values
    where: tuple[str, ...]
    """The modules that call it, once a call; empty for what is called outside of the model."""
    autocast: torch.dtype | None
    """Under which it is called."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.values.items() if isinstance(value, Tensor)}

    @property
    def weights(self) -> list[nn.Parameter]:
        """Of the module that it is, and of those that are handed to it."""
        modules = [one for one in (self.run, *self.values.values()) if isinstance(one, nn.Module)]
        return [weight for module in modules for weight in module.parameters()]

    @property
    def trained(self) -> list[Tensor]:
        """What a gradient flows to."""
        return [one for one in (*self.tensors.values(), *self.weights) if one.requires_grad]

    def call(self) -> Any:
        return self.run(**self.values)


@dataclass
class Watch:
    """What was seen so far."""

    entries: Mapping[str, Entry]
    within: list[str] = field(default_factory=list)
    """The modules that are running, the innermost last."""
    seen: dict[object, Use] = field(default_factory=dict)

    def note(self, name: str, run: Callable[..., Any], given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        called = run.forward if isinstance(run, nn.Module) and not _calls_itself(type(run)) else run
        values = inspect.signature(called).bind(*given, **named).arguments
        place = (self.within[-1],) if self.within else ()
        autocast = _autocast(values)
        own = _type(run) if isinstance(run, nn.Module) else None
        key = (name, autocast, own, tuple(_type(value) for value in values.values()))
        if key in self.seen:
            before = self.seen[key]
            self.seen[key] = replace(before, where=(*before.where, *place))
        else:
            kept = {argument: _kept(value) for argument, value in values.items()}
            self.seen[key] = Use(name, self.entries[name], run, kept, place, autocast)


@contextmanager
def watching(
    model: nn.Module, texts: Sequence[ModuleType], kernels: ModuleType, entries: Mapping[str, Entry]
) -> Iterator[Watch]:
    """While it lasts, calls of the entries of `kernels` from `model`, and from the modules `texts`, are seen."""
    watch = Watch(entries)
    paths = {module: path for path, module in model.named_modules()}

    def begin(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        name = type(module).__name__
        watch.within.append(paths[module])
        if name in entries and type(module) is getattr(kernels, name):
            watch.note(name, module, given, named)

    def end(*_: object) -> None:
        watch.within.pop()

    def seen(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            watch.note(name, function, given, named)
            return function(*given, **named)

        return run

    def seen_calling(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def run(module: nn.Module, *given: Any, **named: Any) -> Any:
            begin(module, given, named)
            try:
                return call(module, *given, **named)
            finally:
                end()

        return run

    with ExitStack() as undo:
        own = {type(module) for module in paths if _calls_itself(type(module))}
        for kind in own:
            undo.callback(setattr, kind, "__call__", kind.__call__)
            kind.__call__ = seen_calling(kind.__call__)
        for module in paths:
            if type(module) in own:
                continue  # a hook would change what it does
            undo.callback(module.register_forward_pre_hook(begin, with_kwargs=True).remove)
            undo.callback(module.register_forward_hook(end, always_call=True).remove)
        functions = {getattr(kernels, name): name for name in entries if not isinstance(getattr(kernels, name), type)}
        for text in texts:
            for own_name, value in list(vars(text).items()):  # under whatever name it is imported
                if isinstance(value, FunctionType) and value in functions:
                    setattr(text, own_name, seen(functions[value], value))
                    undo.callback(setattr, text, own_name, value)
        yield watch


def _calls_itself(kind: type) -> bool:
    """Whether a module decides what a call of it is, before its hooks."""
    return issubclass(kind, nn.Module) and kind.__call__ is not nn.Module.__call__


def _autocast(values: Values) -> torch.dtype | None:
    device = next((value.device.type for value in values.values() if isinstance(value, Tensor)), "cpu")
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def _type(value: Any) -> object:
    """What two calls have in common that are measured once."""
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape), value.stride(), value.requires_grad
    if isinstance(value, nn.Module):
        return type(value), tuple(_type(weight) for weight in value.parameters())
    return value


def _kept(value: Any) -> Any:
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value
