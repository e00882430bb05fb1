"""Reads the names of a syntax tree: who gives one, who uses it, by the scopes of the language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..compiler.depth import room_for_depth
from ..compiler.semantics.language import COMBINATORS, FUNCTIONS, LAYERS
from ..compiler.semantics.number import MATHS
from ..grammar import tree
from ..grammar.source import Span
from .index import Index, Kind, Mention, Scope, Symbol, parameters
from .labels import follow, path_parts, pattern_parts

# With parentheses these are the library's, whatever has their name.
_LIBRARY = LAYERS | FUNCTIONS | COMBINATORS | MATHS
# Keys of train whose names are labels.
_OF_LABELS = frozenset({"freeze", "rates", "update"})
# Options of `start` that hold labels: what is left out, and where weights of other names go.
_OPTIONS_OF_LABELS = frozenset({"skip", "map"})


@room_for_depth()
def read_names(file: tree.File, outside: Mapping[str, Symbol] | None = None) -> Index:
    """The index of a file; `outside` are the names that its imports bring."""
    return _Reader(file, outside or {}).index()


class _Reader:
    """Goes down the tree once and gives names to scopes; uses are looked up when all names are known."""

    def __init__(self, file: tree.File, outside: Mapping[str, Symbol]) -> None:
        self.file = file
        everywhere = Scope(None, 0, file.span.end)
        for symbol in outside.values():
            everywhere.give(symbol, 0)
        self.root = Scope(everywhere, 0, file.span.end)
        self.scopes = [self.root]
        self.units: dict[str, tree.Block | tree.Model] = {
            name: symbol.node for name, symbol in outside.items() if isinstance(symbol.node, tree.Block | tree.Model)
        }
        self.ports: dict[str, Scope] = {}
        self.labels: dict[int, Symbol] = {}
        self.mentions: dict[int, Mention] = {}
        self.unknown: list[tuple[int, str]] = []
        self.later: list[Callable[[], None]] = []

    def index(self) -> Index:
        for item in self.file.items:
            if isinstance(item, tree.Block | tree.Model):
                self.units.setdefault(item.name.text, item)
        for item in self.file.items:
            self.item(item)
        for look_up in self.later:
            look_up()
        mentions = tuple(self.mentions[start] for start in sorted(self.mentions))
        unknown = tuple(sorted(self.unknown))
        return Index(self.file, self.root, tuple(self.scopes), mentions, unknown, self.labels, self.units)

    # --- giving ---------------------------------------------------------------------------------------------------

    def give(self, kind: Kind, name: tree.Name, node: tree.Node, scope: Scope, since: int) -> Symbol:
        symbol = Symbol(kind, name.text, name.span, node)
        scope.give(symbol, since)
        self.mention(Mention(name.span, symbol))
        return symbol

    def mention(self, mention: Mention) -> None:
        self.mentions.setdefault(mention.span.start, mention)

    def scope(self, parent: Scope, span: Span) -> Scope:
        scope = Scope(parent, span.start, span.end)
        self.scopes.append(scope)
        return scope

    # --- items ----------------------------------------------------------------------------------------------------

    def item(self, item: tree.Item) -> None:
        match item:
            case tree.Constant(name=name, value=value):
                self.give("constant", name, item, self.root, 0)
                self.flow(value, self.root)
            case tree.Function(name=name, params=params, value=value):
                self.give("function", name, item, self.root, 0)
                scope = self.scope(self.root, item.span)
                self.params(params, scope)
                self.flow(value, scope)
            case tree.Default(stage=stage):
                self.flow(stage, self.root)
            case tree.Block(name=name):
                self.give("block", name, item, self.root, 0)
                self.unit(item)
            case tree.Model(name=name):
                self.give("model", name, item, self.root, 0)
                self.unit(item)
            case tree.Train(model=model, recipe=recipe):
                if recipe is not None:
                    self.mention(Mention(recipe.span, Symbol("recipe", recipe.text, recipe.span, item)))
                self.section(model, item.body)
            case tree.Export(model=model):
                self.section(model, item.body)

    def unit(self, unit: tree.Block | tree.Model) -> None:
        scope = self.scope(self.root, unit.span)
        self.ports[unit.name.text] = ports = Scope(self.root, 0, 0)
        if isinstance(unit, tree.Block):
            self.params(unit.params or (), scope)
        signature = unit.signature
        promised: dict[str, Symbol] = {}
        if signature is not None:
            for port in signature.inputs:
                self.dims(port.shape, scope, binds=True)
                if port.name is not None:
                    ports.give(self.give("input", port.name, port, scope, 0), 0)
            for port in signature.outputs or ():
                self.dims(port.shape, scope, binds=False)
                if port.name is not None:
                    symbol = Symbol("output", port.name.text, port.name.span, port)
                    self.mention(Mention(port.name.span, symbol))
                    ports.give(symbol, 0)
                    promised[symbol.name] = symbol
        for line in unit.body.lines:
            self.line(line, scope, promised)

    def params(self, params: Iterable[tree.Param], scope: Scope) -> None:
        for param in params:
            if param.default is not None:
                self.flow(param.default, scope)
            self.give("parameter", param.name, param, scope, param.span.end)

    def dims(self, shape: tree.Shape, scope: Scope, *, binds: bool) -> None:
        for dim in shape.dims:
            for node in tree.walk(dim) if binds else ():
                match node:
                    case tree.Stage(path=tree.Path(parts=(word,)) as path, args=None, body=None):
                        if word[:1].isupper() and word not in scope.given:
                            self.give("dim", tree.Name(word, span=path.span), shape, scope, 0)
            self.flow(dim, scope)

    def section(self, model: tree.Name, body: tree.Body) -> None:
        """A `train` or `export` section: it sees the ports of its model."""

        def names() -> None:
            self.use(self.root, model.text, model.span, model.span.start)
            ports = self.ports.get(model.text)
            scope = self.scope(self.root, body.span)
            scope.given.update(ports.given if ports is not None else {})
            unit = self.units.get(model.text)
            self.settings(body, scope, [] if unit is None else [unit.body])

        self.later.append(names)

    def settings(self, body: tree.Body, scope: Scope, model: list[tree.Body]) -> None:
        for line in body.lines:
            match line:
                case tree.Binding(name=name, value=value) if name.text in _OF_LABELS:
                    self.of_labels(value, model)
                case tree.Binding(value=value):
                    self.setting(value, scope, model)
                case tree.Phase(name=name, body=inner):
                    self.mention(Mention(name.span, Symbol("phase", name.text, name.span, line)))
                    self.settings(inner, scope, model)
                case _:
                    self.setting(line, scope, model)

    def setting(self, node: tree.Node, scope: Scope, model: list[tree.Body]) -> None:
        for part in tree.children(node) if not isinstance(node, tree.Stage) else (node,):
            match part:
                case tree.Stage(path=path, args=args):
                    if path.parts[0] != "data":
                        self.path(path, scope, called=args is not None, told=False)
                    for arg in args or ():
                        if isinstance(arg, tree.Keyword) and arg.name.text in _OPTIONS_OF_LABELS:
                            self.of_labels(arg.value, model)
                        else:
                            self.setting(arg, scope, model)
                case _:
                    self.setting(part, scope, model)

    def of_labels(self, node: tree.Node, model: list[tree.Body]) -> None:
        match node:
            case tree.Stage(path=path):
                parts = path_parts(path)
            case tree.String() as pattern:
                parts = pattern_parts(pattern)
            case tree.Entry(path=tree.String() as pattern):
                parts = pattern_parts(pattern)
            case tree.Entry(path=tree.Path() as path):
                parts = path_parts(path)
            case tree.List(entries=entries):
                for entry in entries:
                    self.of_labels(entry, model)
                return
            case tree.Then(stages=(_, into)):  # a name elsewhere -> a name here
                self.of_labels(into, model)
                return
            case _:
                return
        for mention in follow(parts, list(model), self.labels, self.units):
            self.mention(mention)

    # --- bodies ---------------------------------------------------------------------------------------------------

    def line(self, line: tree.Line, scope: Scope, promised: Mapping[str, Symbol] | None = None) -> None:
        """`promised` are the outputs of the unit whose body it is: a value of such a name is that output."""
        match line:
            case tree.Binding(name=name, value=value):
                self.flow(value, scope)
                self.value(name, line, scope, promised or {})
            case tree.Named(flow=flow, names=names):
                self.flow(flow, scope)
                for name in names:
                    if name.text != "_":
                        self.value(name, line, scope, promised or {})
            case tree.Default(stage=stage):
                self.flow(stage, scope)
            case tree.Phase(body=body):
                self.body(body, scope)
            case _:
                self.flow(line, scope)

    def value(self, name: tree.Name, line: tree.Node, scope: Scope, promised: Mapping[str, Symbol]) -> None:
        output = promised.get(name.text)
        if output is None:
            self.give("value", name, line, scope, line.span.end)
            return
        scope.give(output, line.span.end)
        self.mention(Mention(name.span, output))

    def body(self, body: tree.Body, scope: Scope, index: tree.Name | None = None) -> None:
        inner = self.scope(scope, body.span)
        if index is not None:
            self.give("index", index, body, inner, 0)
        for line in body.lines:
            self.line(line, inner)

    def flow(self, flow: tree.Node, scope: Scope) -> None:
        match flow:
            case tree.Stage():
                self.stage(flow, scope)
            case tree.Label(name=name, target=target):
                self.labels[id(flow)] = self.give("label", name, flow, scope, flow.span.end)
                self.flow(target, scope)
            case tree.Body():
                self.body(flow, scope)
            case _:
                for child in tree.children(flow):
                    if not isinstance(child, tree.Name | tree.Path):
                        self.flow(child, scope)

    def stage(self, stage: tree.Stage, scope: Scope) -> None:
        self.path(stage.path, scope, called=stage.args is not None)
        index: tree.Name | None = None
        for arg in stage.args or ():
            match arg:
                case tree.Keyword(name=tree.Name(text="index"), value=tree.Stage(path=path)) if (
                    str(stage.path) == "repeat" and len(path.parts) == 1
                ):
                    index = tree.Name(str(path), span=path.span)
                case tree.Keyword(name=name, value=value):
                    self.option(stage.path, name, scope)
                    self.flow(value, scope)
                case _:
                    self.flow(arg, scope)
        if stage.body is not None:
            self.body(stage.body, scope, index)

    # --- using ----------------------------------------------------------------------------------------------------

    def path(self, path: tree.Path, scope: Scope, *, called: bool, told: bool = True) -> None:
        """A name, or a label with what lies inside; `told` says whether it may stand among the unknown."""
        at = path.span.start

        def look_up() -> None:
            (first, span), *rest = path_parts(path)
            if called and first in _LIBRARY:
                return
            symbol = self.use(scope, first, span, at, dotted=bool(rest), told=told)
            if symbol is not None and isinstance(symbol.node, tree.Label) and rest:
                alone = tree.Body((symbol.node,), span=symbol.node.span)
                for mention in follow([(first, span), *rest], [alone], self.labels, self.units):
                    self.mention(mention)

        self.later.append(look_up)

    def option(self, path: tree.Path, name: tree.Name, scope: Scope) -> None:
        """The name of an argument: a parameter or an input where a block or function of the file is called."""
        at = name.span.start

        def look_up() -> None:
            called = scope.find(path.parts[0], at) if len(path.parts) == 1 else None
            found = parameters(called) if called is not None else []
            symbol = next((one for one in found if one.name == name.text), None)
            if symbol is None:
                return
            here = symbol.span.source is self.file.span.source
            given = self.mentions.get(symbol.span.start) if here else None
            self.mention(Mention(name.span, symbol if given is None else given.symbol))

        self.later.append(look_up)

    def use(
        self, scope: Scope, name: str, span: Span, at: int, *, dotted: bool = False, told: bool = True
    ) -> Symbol | None:
        symbol = scope.find(name, at, dotted=dotted)
        if symbol is not None:
            self.mention(Mention(span, symbol))
        elif told:
            self.unknown.append((at, name))
        return symbol
