"""What a file of Python says of its layers without being run: their names, options, inputs and documentation.

    class Wavelet(nn.Module):
        \"""`Wavelet(levels)`: [B, T, C] -> [B, T // 2^levels, C]\"""

        def __init__(self, input_shape, levels: int, wave: Literal["haar", "db2"] = "haar") -> None: ...

        @staticmethod
        def shape(input_shape, levels): ...

        def forward(self, x: Tensor) -> Tensor: ...

A public class with a base and a static method `shape` is a layer. Its options are the annotated parameters of
`__init__`, but for `input_shape`, which the compiler fills; those of `forward` behind the first are side inputs.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Source, Span
from ..build.labels import FILE_NAMES
from ..layers.base import Layer
from ..layers.options import VALUE
from ..layers.side import Side
from ..options import REQUIRED, Field, Kind
from ..semantics.evaluate import is_number
from ..semantics.imports import NO_RULE
from ..semantics.number import is_whole, number

IN_FILE = "python-file"
"""The code of what is wrong with a file, whoever uses it."""
OWN = frozenset({"made", "signature"})
"""What the class of such a layer has besides what every layer has: no option can be called so."""
INPUT = "input_shape"
"""The parameter of `__init__` that gets the dims of what comes in, None for one that is open until run time."""
ANNOTATIONS = "int, float, bool, str, Literal[...] or tuple[int, ...], each also with `| None`"


@dataclass(frozen=True)
class Signature:
    """A class as a spec may use it. `by_name` are options that do not stand without their name, `sides` those that are
    values that flow; `reals` are those that Python gets as floats. `rule` are the options that the shape rule takes."""

    name: str
    doc: str
    place: Span
    options: Mapping[str, Field]
    by_name: frozenset[str]
    sides: frozenset[str]
    reals: frozenset[str]
    takes_shape: bool
    rule: frozenset[str]
    rule_place: Span


class _Unfit(Exception):
    def __init__(self, node: ast.AST, message: str, help: str) -> None:
        super().__init__(message)
        self.node, self.message, self.help = node, message, help


def read_signatures(source: Source) -> tuple[dict[str, Signature], list[Diagnostic]]:
    """The layers of a file by name, and what is wrong in how they are written."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        line = getattr(fault, "lineno", None) or 1
        said = getattr(fault, "msg", None) or str(fault) or "too deeply nested"
        return {}, [Diagnostic(IN_FILE, f"this is no Python: {said}", line_span(source, line), "cannot be read")]
    classes = {node.name: node for node in parsed.body if isinstance(node, ast.ClassDef)}
    found: dict[str, Signature] = {}
    faults: list[Diagnostic] = []
    for node in classes.values():
        if node.name.startswith("_") or _method(node, "shape", classes) is None or not node.bases:
            continue
        try:
            found[node.name] = _signature(node, classes, source)
        except _Unfit as fault:
            span = _span(fault.node, source)
            faults.append(Diagnostic(IN_FILE, fault.message, span, "not as a layer needs it", help=fault.help))
    if not found and not faults:
        message = f"this file has no layer: {NO_RULE}"
        help = "give a class of `nn.Module` a static method `shape(input_shape, ...)` that returns the dims that leave"
        faults.append(Diagnostic(IN_FILE, message, line_span(source, 1), "the file begins here", help=help))
    return found, faults


def ruleless(source: Source) -> dict[str, Span]:
    """The public classes of a file that are no layers for want of a shape rule, with their places."""
    try:
        parsed = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}  # told as what the file is
    classes = {node.name: node for node in parsed.body if isinstance(node, ast.ClassDef)}
    found = (one for one in classes.values() if one.bases and not one.name.startswith("_"))
    return {one.name: _span(one, source) for one in found if _method(one, "shape", classes) is None}


def line_span(source: Source, line: int) -> Span:
    """What stands on a line, without what it is indented by."""
    lines = source.text.split("\n")
    line = min(max(line, 1), len(lines))
    start = sum(len(one) + 1 for one in lines[: line - 1])
    text = lines[line - 1]
    return source.span(start + len(text) - len(text.lstrip()), start + len(text.rstrip()))


def _span(node: ast.AST, source: Source) -> Span:
    """The first line of a node, from where it begins."""
    line = line_span(source, getattr(node, "lineno", 1))
    text = source.text[: line.end].rpartition("\n")[2]
    begin = line.end - len(text) + len(text.encode()[: getattr(node, "col_offset", 0)].decode(errors="ignore"))
    ends_here = getattr(node, "end_lineno", None) == getattr(node, "lineno", 1) and not isinstance(node, ast.ClassDef)
    if not ends_here:
        return source.span(begin, max(begin, line.end))
    length = len(text.encode()[: getattr(node, "end_col_offset", 0)].decode(errors="ignore"))
    return source.span(begin, line.end - len(text) + length)


def _method(node: ast.ClassDef, name: str, classes: Mapping[str, ast.ClassDef]) -> ast.FunctionDef | None:
    """A method of a class, its own or one of a base in the same file."""
    for one in _with_bases(node, classes):
        for item in one.body:
            if isinstance(item, ast.FunctionDef) and item.name == name:
                return item
    return None


def _with_bases(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    seen: set[str] = set()
    todo = [node]
    while todo:
        one = todo.pop(0)
        if one.name not in seen:
            seen.add(one.name)
            yield one
            todo += [classes[base.id] for base in one.bases if isinstance(base, ast.Name) and base.id in classes]


def _signature(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], source: Source) -> Signature:
    name = node.name
    if not name[0].isupper() or name in FILE_NAMES:
        message = f"a layer is called in Capitals, by a name that emitted files do not have: `{name}` cannot be had"
        raise _Unfit(node, message, f"call the class `{name[0].upper()}{name[1:]}Layer`, or after what it does")
    options: dict[str, Field] = {}
    by_name: set[str] = set()
    reals: set[str] = set()
    takes_shape = False
    made = _method(node, "__init__", classes)
    for parameter, default, keyword_only in _parameters(made) if made is not None else ():
        if parameter.arg == INPUT:
            takes_shape = True
            continue
        if hasattr(Layer, parameter.arg) or parameter.arg in OWN:
            message = f"`{parameter.arg}` is a name that dlspec has for every layer, and no option can be called so"
            raise _Unfit(parameter, message, f"call it otherwise, such as `{parameter.arg}_of_{name.lower()}`")
        kind, real = _kind(parameter, name)
        options[parameter.arg] = Field(_default(parameter, default, kind, name), (kind,))
        by_name |= {parameter.arg} if keyword_only else set()
        reals |= {parameter.arg} if real else set()
    sides: set[str] = set()
    forward = _method(node, "forward", classes)
    if forward is None:
        raise _Unfit(node, f"`{name}` has no `forward`", "write `def forward(self, x: Tensor) -> Tensor`")
    flowing = list(_parameters(forward))
    if not flowing:
        raise _Unfit(
            forward, f"`forward` of `{name}` takes nothing", "it gets what comes by the arrow: `forward(self, x)`"
        )
    for parameter, default, _ in flowing[1:]:
        if parameter.arg in options:
            message = f"`{parameter.arg}` is an option of `{name}` and a value that `forward` takes"
            raise _Unfit(parameter, message, "a spec gives both by name: call one of them otherwise")
        optional = isinstance(default, ast.Constant) and default.value is None
        options[parameter.arg] = Field(None if optional else REQUIRED, (_side_kind(optional=optional),))
        sides.add(parameter.arg)
    rule = _rule(node, classes, options)
    doc = ast.get_docstring(node) or ""
    place = _span(node, source)
    found = (frozenset(by_name | sides), frozenset(sides), frozenset(reals))
    shape = _method(node, "shape", classes)
    assert shape is not None
    return Signature(name, doc, place, options, *found, takes_shape, rule, _span(shape, source))


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None, bool]]:
    """Each parameter but `self`, its default, and whether it goes by name only."""
    arguments = function.args
    for more in (arguments.vararg, arguments.kwarg):
        if more is not None:
            message = f"`{function.name}` takes any number of arguments, and a spec has to know which"
            raise _Unfit(more, message, f"name each parameter in place of `*{more.arg}`")
    listed = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(listed) - len(arguments.defaults)), *arguments.defaults]
    yield from ((one, default, False) for one, default in list(zip(listed, defaults, strict=True))[1:])
    yield from ((one, default, True) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))


def _rule(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], options: Mapping[str, Field]) -> frozenset[str]:
    rule = _method(node, "shape", classes)
    assert rule is not None
    if not any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in rule.decorator_list):
        message = f"`shape` of `{node.name}` is asked before there is a module"
        raise _Unfit(rule, message, "write `@staticmethod` above it, and leave `self` away")
    arguments = rule.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if not [*arguments.posonlyargs, *arguments.args]:
        raise _Unfit(rule, f"`shape` of `{node.name}` takes no dims", "its first parameter is what comes in")
    if arguments.kwarg is not None:
        return frozenset(options)
    for one in listed[1:]:
        if one.arg not in options:
            message = f"`shape` of `{node.name}` takes `{one.arg}`, which is no option of the layer"
            listed_options = ", ".join(f"`{name}`" for name in options)
            raise _Unfit(one, message, f"its options are {listed_options}" if options else "the layer has no options")
    return frozenset(one.arg for one in listed[1:])


# --- kinds of options --------------------------------------------------------------------------------------------


def _kind(parameter: ast.arg, layer: str) -> tuple[Kind, bool]:
    """What an option takes by its annotation, and whether its numbers are floats."""
    annotation = parameter.annotation
    if annotation is None:
        message = f"the option `{parameter.arg}` of `{layer}` has no annotation, which says what a spec may give"
        raise _Unfit(parameter, message, f"write `{parameter.arg}: int`; there are {ANNOTATIONS}")
    found = _read_annotation(annotation)
    if found is None:
        message = f"`{ast.unparse(annotation)}` is nothing that a spec could give to the option `{parameter.arg}`"
        raise _Unfit(annotation, message, f"an option of a layer is {ANNOTATIONS}")
    return found


def _read_annotation(node: ast.expr) -> tuple[Kind, bool] | None:
    match node:
        case ast.Constant(value=str(text)):
            try:
                return _read_annotation(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return None
        case ast.Name(id=name) if name in _SCALARS:
            return _SCALARS[name], name == "float"
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            inner = _read_annotation(left)
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=right):
            inner = _read_annotation(right)
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=one):
            inner = _read_annotation(one)
        case ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal"), slice=listed):
            entries = listed.elts if isinstance(listed, ast.Tuple) else [listed]
            words = [one.value for one in entries if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            return (_word(words), False) if len(words) == len(entries) else None
        case ast.Subscript(value=ast.Name(id="tuple" | "Tuple"), slice=ast.Tuple(elts=[first, *rest])):
            inner = _read_annotation(first)
            if inner is None or not all(_same_or_ellipsis(one, first) for one in rest):
                return None
            length = None if rest and isinstance(rest[-1], ast.Constant) and rest[-1].value is ... else 1 + len(rest)
            return _list_of(inner[0], length), inner[1]
        case _:
            return None
    return None if inner is None else (_or_none(inner[0]), inner[1])


def _same_or_ellipsis(node: ast.expr, first: ast.expr) -> bool:
    return ast.dump(node) == ast.dump(first) or (isinstance(node, ast.Constant) and node.value is ...)


def _whole(value: object) -> Any:
    value = number(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not is_number(value) or not is_whole(value):
        raise ValueError("a whole number")
    return value


def _real(value: object) -> Any:
    value = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not is_number(value) or value.value is None:
        raise ValueError("a number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    return value


_SCALARS = {"int": Kind(_whole), "float": Kind(_real), "bool": Kind(_flag), "str": Kind(_text)}


def _word(words: list[str]) -> Kind:
    what = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def check(value: object) -> object:
        if value not in words:
            raise ValueError(what)
        return value

    return Kind(check, frozenset(words))


def _list_of(kind: Kind, length: int | None) -> Kind:
    def check(value: object) -> tuple[Any, ...]:
        try:
            if not isinstance(value, tuple) or (length is not None and len(value) != length):
                raise ValueError
            return tuple(map(kind.check, value))
        except ValueError:
            raise ValueError(f"a list of {'such' if length is None else length}, as `[1, 2]`") from None

    return Kind(check, kind.words)


def _or_none(kind: Kind) -> Kind:
    def check(value: object) -> object:
        if value is None:
            return None
        try:
            return kind.check(value)
        except ValueError as fault:
            raise ValueError(f"{fault} or none") from None

    return Kind(check, kind.words)


def _side_kind(*, optional: bool) -> Kind:
    def check(value: object) -> object:
        if not isinstance(value, Side) and not (optional and value is None):
            raise ValueError("a value that flows")
        return value

    return Kind(check, reads=VALUE)


def _default(parameter: ast.arg, default: ast.expr | None, kind: Kind, layer: str) -> Any:
    if default is None:
        return REQUIRED
    help = f"write a plain value, such as `{parameter.arg}: int = 1`, or leave the default away"
    try:
        return kind.check(ast.literal_eval(default))
    except ValueError as fault:
        message = f"the default of `{parameter.arg}` of `{layer}` is no value that a spec could give: it takes {fault}"
        if not isinstance(default, ast.Constant | ast.Tuple | ast.UnaryOp | ast.List):
            message = f"the default of `{parameter.arg}` of `{layer}` is known only when the file runs"
        raise _Unfit(default, message, help) from None
