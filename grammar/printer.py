"""A syntax tree as text, in the one layout of the language.

- One line of a body a line, two spaces a step, at most one blank line, one around every item of several lines.
- A line of more than 120 columns breaks at an arrow, else one argument a line. Line breaks before an arrow that the
  author chose stay, and so do braces that stand on one line.
- The `=` of neighbouring constants and settings stand in one column; a name of more than nine letters pushes nobody.
- Comments stay where they are: above their line, at its end, behind an opening brace. One in the middle of an
  expression moves above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from . import tree
from .comments import Remarks, attach, containers
from .document import Anchor, Braces, Break, Doc, Group, IfBroken, Joint, Line, Nest, Remark, render, text
from .source import Source

# The longest name that takes part in a column of `=`: as long as `optimizer` and `precision`.
COLUMN = 9

_LEVELS = {"==": 2, "!=": 2, "<": 2, "<=": 2, ">": 2, ">=": 2, "+": 3, "-": 3, "*": 4, "/": 4, "//": 4, "%": 4, "^": 6}
_THEN, _CHOICE, _COMPARE, _NEGATE, _POWER, _ATOM = 0, 1, 2, 5, 6, 7
_NEWLINE = Break(always=True)
_HEADED = (tree.Block, tree.Model, tree.Train, tree.Export)
_BROKEN_ARROW = re.compile(r"(?:[\s)]|#[^\n]*)*\n[ \t]*->")
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")


KnownLines: TypeAlias = dict[tuple[type[tree.Node], str], Doc]
"""Lines of bodies that were laid out before, by what they are and their text: an editor asks again and again."""


def format(file: tree.File, source: Source, known: KnownLines | None = None) -> str:
    """The text of a file without faults, laid out. Formatting it again changes nothing.

    Lines are taken from `known`, and those that are not there are put there.
    """
    return _Printer(source, file, known).file(file)


def spell(node: tree.Node) -> str:
    """One node as text, without comments: on one line where it fits and has no body of several lines."""
    return text(render(_Printer(Source("", ""), node).docs[id(node)])).rstrip("\n")


def level(node: tree.Node) -> int:
    """How tightly an expression binds: 0 for a chain of stages, 7 for what never needs parentheses."""
    match node:
        case tree.Then():
            return _THEN
        case tree.Choice():
            return _CHOICE
        case tree.Binary():
            return _LEVELS[node.operator]
        case tree.Negate():
            return _NEGATE
        case _:
            return _ATOM


@dataclass(frozen=True)
class _Entry:
    """One thing of a body or a file with the text that it was read from: a comment on its own line, or an element."""

    start: int
    end: int
    doc: Doc
    node: tree.Node | None = None


class _Printer:
    """Documents of all nodes below a root, made from the leaves up, so that depth costs no recursion."""

    def __init__(self, source: Source, root: tree.Node, known: KnownLines | None = None) -> None:
        self.source = source
        self.version = root.version if isinstance(root, tree.File) else None
        self.docs: dict[int, Doc] = {}
        self.keys: dict[int, tuple[type[tree.Node], str]] = {}
        order = list(tree.walk(root) if known is None else self.unknown(root, known))
        commented = order if "#" in source.text else ()
        self.containers = {(id(node), part): c for node in commented for part, c in containers(node)}
        self.remarks = attach(source, self.containers.values()) if commented else {}
        self.open = {id(flow) for node in order for flow in _open_flows(node)}
        # Expressions of several operands, as they stand where something around them breaks their lines.
        self.bare: dict[int, list[Doc]] = {}
        for node in reversed(order):
            self.docs[id(node)] = self.doc(node)
        if known is not None:
            known.update((key, self.docs[line]) for line, key in self.keys.items())

    def unknown(self, root: tree.Node, known: KnownLines) -> Iterator[tree.Node]:
        """A node and all below it, parents first, but for the lines that are known.

        Lines that depend on more than their text are never known: on a column, on comments, on what is in front of a
        sign.
        """
        todo = [root]
        while todo:
            node = todo.pop()
            yield node
            below: Sequence[tree.Node] = tuple(tree.children(node))
            if isinstance(node, tree.Body):
                below = [line for line in below if not self.take(line, known)]
            todo.extend(reversed(below))

    def take(self, line: tree.Node, known: KnownLines) -> bool:
        """Whether a line is known. One that can be is noted, to be put there."""
        text = line.span.text
        if "#" in text or text.startswith(("-", "(")) or isinstance(line, tree.Binding):
            return False
        key = type(line), text
        if key in known:
            self.docs[id(line)] = known[key]
            return True
        self.keys[id(line)] = key
        return False

    def of(self, node: tree.Node) -> Doc:
        return self.docs[id(node)]

    def doc(self, node: tree.Node) -> Doc:
        match node:  # the most frequent first
            case tree.Path():
                return ".".join(node.parts)
            case tree.Stage():
                return self.stage(node)
            case tree.Name():
                return node.text
            case tree.Number() | tree.Percent():
                return node.text
            case tree.String():
                return f'"{node.value}"'
            case tree.Bool():
                return "true" if node.value else "false"
            case tree.Nothing():
                return "none"
            case tree.Binary():
                return self.binary(node)
            case tree.Between():
                sides = [self.operand(side, _COMPARE + 1) for side in (node.left, node.middle, node.right)]
                return [sides[0], f" {node.first} ", sides[1], f" {node.second} ", sides[2]]
            case tree.Negate():
                return ["-", self.operand(node.operand, _NEGATE + isinstance(node.operand, tree.Negate))]
            case tree.Choice():
                return self.choice(node)
            case tree.Then():
                return self.then(node)
            case tree.Keyword():
                return [node.name.text, " = ", self.of(node.value)]
            case tree.Entry():
                return [self.of(node.path), " = ", self.of(node.value)]
            case tree.List():
                return self.bracketed("[", node.entries, "]", self.remarks_of(node))
            case tree.Label():
                return [node.name.text, ": ", self.of(node.target)]
            case tree.Body():
                return self.body(node)
            case _:
                return self.line(node)

    def line(self, node: tree.Node, column: int = 0) -> Doc:
        """A line or an item; `column` is the width of a name before `=`."""
        match node:
            case tree.Constant() | tree.Binding():
                return [f"{node.name.text:<{column}}", " = ", self.of(node.value)]
            case tree.Function():
                return [node.name.text, self.params(node, node.params), " = ", self.of(node.value)]
            case tree.Named():
                return [self.of(node.flow), " as ", ", ".join(name.text for name in node.names)]
            case tree.Default():
                return ["default ", self.of(node.stage)]
            case tree.Phase():
                return ["phase ", node.name.text, " ", self.of(node.body)]
            case tree.Import():
                return ["import ", self.of(node.what)]
            case tree.Param():
                return node.name.text if node.default is None else [node.name.text, " = ", self.of(node.default)]
            case tree.Shape():
                dims: list[Doc] = [self.operand(dim, _COMPARE) for dim in node.dims]
                return ["" if node.dtype is None else node.dtype.text, self.brackets("[", dims, "]")]
            case tree.Port():
                return self.of(node.shape) if node.name is None else [node.name.text, ": ", self.of(node.shape)]
            case tree.Signature():
                inputs = self.ports(node, "inputs", node.inputs)
                return inputs if node.outputs is None else [inputs, " -> ", self.ports(node, "outputs", node.outputs)]
            case tree.Block():
                params: Doc = "" if node.params is None else self.params(node, node.params)
                signature: Doc = "" if node.signature is None else [": ", self.of(node.signature)]
                return ["block ", node.name.text, params, signature, " ", self.of(node.body)]
            case tree.Model():
                return ["model ", node.name.text, ": ", self.of(node.signature), " ", self.of(node.body)]
            case tree.Train():
                recipe = "" if node.recipe is None else f" as {node.recipe.text}"
                return [f"train {node.model.text}{recipe} ", self.of(node.body)]
            case tree.Export():
                return [f"export {node.model.text} ", self.of(node.body)]
            case _:
                return self.of(node) if id(node) in self.docs else ""

    # --- expressions -----------------------------------------------------------------------------------------

    def operand(self, node: tree.Node, least: int) -> Doc:
        """An operand in parentheses where it binds more loosely than `least`, or where the author set them."""
        if level(node) >= least and not self.parenthesised(node):
            return self.of(node)
        return self.in_parentheses(node)

    def in_parentheses(self, node: tree.Node) -> Doc:
        return Anchor(Group(["(", Nest([Break(""), *self.bare.get(id(node), [self.of(node)])]), Break(""), ")"]))

    def parenthesised(self, node: tree.Node) -> bool:
        """Whether an operand stands in parentheses that order needs not, but a reader may."""
        if not isinstance(node, tree.Binary):
            return False
        written, span = self.source.text, node.span
        before, after = written[: span.start].rstrip()[-1:], written[span.end :].lstrip()[:1]
        return before == "(" and after == ")"

    def binary(self, node: tree.Binary) -> Doc:
        tight = level(node)
        if tight == _POWER:
            return [self.operand(node.left, _ATOM), " ^ ", self.operand(node.right, _NEGATE)]
        left = node.left
        same = isinstance(left, tree.Binary) and level(left) == tight != _COMPARE and not self.parenthesised(left)
        # A long sum is one chain: its leftmost part's list grows, and is of no other use.
        chain = self.bare[id(left)] if same else [self.operand(left, tight + (tight == _COMPARE))]
        chain.extend((Break(), f"{node.operator} ", self.operand(node.right, tight + 1)))
        return self.breakable(node, chain)

    def choice(self, node: tree.Choice) -> Doc:
        then, condition = self.operand(node.then, _COMPARE), self.operand(node.condition, _COMPARE)
        otherwise = self.operand(node.otherwise, _CHOICE)
        return self.breakable(node, [then, Break(), "if ", condition, Break(), "else ", otherwise])

    def breakable(self, node: tree.Node, parts: list[Doc]) -> Doc:
        self.bare[id(node)] = parts
        return Anchor(Group([IfBroken("("), Nest([Break(""), parts]), Break(""), IfBroken(")")]))

    def then(self, node: tree.Then) -> Doc:
        remarks = self.remarks_of(node)
        chosen = id(node) in self.open
        first, *rest = (self.operand(stage, _CHOICE) for stage in node.stages)
        if chosen and self.begins_with_minus(node.stages[0]):
            first = self.in_parentheses(node.stages[0])
        parts: list[Doc] = []
        for i, stage in enumerate(rest, 1):
            above = remarks.above.get(i, [])
            if i - 1 in remarks.behind:
                parts.append(Remark(remarks.behind[i - 1].text))
            for comment in above:
                parts.extend((_NEWLINE, comment.text))
            between = self.source.text[node.stages[i - 1].span.end : node.stages[i].span.start]
            broken = above or i - 1 in remarks.behind or (chosen and _BROKEN_ARROW.match(between))
            parts.extend((_NEWLINE if broken else Joint(last=chosen), "-> ", stage))
        return Anchor([first, Nest(parts)])

    def stage(self, node: tree.Stage) -> Doc:
        if node.args is None and node.body is None:
            return self.of(node.path)
        parts: list[Doc] = [self.of(node.path)]
        if node.args is not None:
            parts.append(self.bracketed("(", node.args, ")", self.remarks_of(node)))
        if node.body is not None:
            parts.extend((" ", self.of(node.body)))
        return parts

    # --- brackets --------------------------------------------------------------------------------------------

    def params(self, node: tree.Node, params: Sequence[tree.Param]) -> Doc:
        return self.bracketed("(", params, ")", self.remarks_of(node, "params"))

    def ports(self, node: tree.Signature, part: str, ports: Sequence[tree.Port]) -> Doc:
        if ports[0].name is None:
            return self.of(ports[0])
        return self.bracketed("(", ports, ")", self.remarks_of(node, part))

    def bracketed(self, opener: str, nodes: Sequence[tree.Node], closer: str, remarks: Remarks) -> Doc:
        docs = [self.of(node) for node in nodes]
        if not (remarks.above or remarks.behind or remarks.opening or remarks.last):
            return self.brackets(opener, docs, closer)
        parts: list[Doc] = []
        opening = [remarks.opening] if remarks.opening else []
        for i, doc in enumerate(docs):
            for comment in (*(opening if i == 0 else ()), *remarks.above.get(i, ())):
                parts.extend((_NEWLINE, comment.text))
            parts.extend((_NEWLINE, doc, ","))
            if i in remarks.behind:
                parts.append(Remark(remarks.behind[i].text))
        for comment in (*(opening if not docs else ()), *remarks.last):
            parts.extend((_NEWLINE, comment.text))
        return Anchor([opener, Nest(parts), _NEWLINE, closer])

    def brackets(self, opener: str, docs: list[Doc], closer: str) -> Doc:
        if not docs:
            return opener + closer
        parts: list[Doc] = [Break("")]
        for doc in docs[:-1]:
            parts.extend((doc, ",", Break()))
        # Branches side by side are read one below the other, each with its braces.
        hugs = opener != "[" or len(docs) == 1
        return Anchor(Group([opener, Nest([*parts, docs[-1], IfBroken(",")]), Break(""), closer], hugs))

    # --- bodies and files ------------------------------------------------------------------------------------

    def body(self, node: tree.Body) -> Doc:
        remarks = self.remarks_of(node)
        entries = self.entries(node.lines, remarks)
        if not entries and remarks.opening is None:
            return "{ }"
        parts: list[Doc] = []
        for i, entry in enumerate(entries):
            blank = i > 0 and self.apart(entries[i - 1], entry)
            parts.extend((Break(always=True, blank=blank), entry.doc))
        opening: list[Doc] = ["{"] if remarks.opening is None else ["{", Remark(remarks.opening.text)]
        broken = Anchor([*opening, Nest(parts), _NEWLINE, "}"])
        flat = len(node.lines) == 1 and remarks == Remarks() and "\n" not in node.span.text
        return Braces(["{ ", entries[0].doc, " }"] if flat else None, broken)

    def file(self, node: tree.File) -> str:
        version = [] if node.version is None else [node.version]
        entries = self.entries((*version, *node.items), self.remarks_of(node))
        out: list[Line] = []
        above = False  # whether what was printed last is an item of several lines
        last = entries[:1]
        for unit in self.units(entries):
            rendered = [render(entry.doc) for entry in unit]
            tall = isinstance(unit[-1].node, _HEADED) and len(rendered[-1]) > 1
            if out and (tall or above or self.apart(last[0], unit[0])):
                out.append(Line(""))
            out.extend(line for lines in rendered for line in lines)
            above, last = tall, unit[-1:]
        return text(out)

    def units(self, entries: list[_Entry]) -> Iterator[list[_Entry]]:
        """Elements with the comments that stand directly above them."""
        unit: list[_Entry] = []
        for entry in entries:
            if unit and (unit[-1].node is not None or self.apart(unit[-1], entry)):
                yield unit
                unit = []
            unit.append(entry)
        if unit:
            yield unit

    def entries(self, nodes: Sequence[tree.Node], remarks: Remarks) -> list[_Entry]:
        out: list[_Entry] = []
        for i, (node, column) in enumerate(zip(nodes, self.columns(nodes), strict=True)):
            span = node.span
            for comment in remarks.above.get(i, ()):
                out.append(_Entry(min(comment.start, span.start), comment.end, comment.text))
            doc, end = self.element(node, column), span.end
            if i in remarks.behind:
                doc, end = [doc, Remark(remarks.behind[i].text)], remarks.behind[i].end
            out.append(_Entry(span.start, end, doc, node))
        out.extend(_Entry(comment.start, comment.end, comment.text) for comment in remarks.last)
        return out

    def element(self, node: tree.Node, column: int) -> Doc:
        if node is self.version:
            return ["dlspec ", self.of(node)]
        if isinstance(node, tree.Constant | tree.Binding):
            return self.line(node, column)
        flow = node.flow if isinstance(node, tree.Named) else node
        if isinstance(flow, tree.Then) or not self.begins_with_minus(flow):
            return self.of(node)
        # A line cannot begin with an operator: it would read as if it went on with the line above.
        match node:
            case tree.Named():
                return [self.in_parentheses(node.flow), " as ", ", ".join(name.text for name in node.names)]
            case _:
                return self.in_parentheses(node)

    def begins_with_minus(self, node: tree.Node) -> bool:
        while True:
            match node:
                case tree.Negate():
                    return True
                case tree.Choice():
                    left, least = node.then, _COMPARE
                case tree.Binary():
                    tight = level(node)
                    left, least = node.left, _ATOM if tight == _POWER else tight + (tight == _COMPARE)
                case _:
                    return False
            if level(left) < least or self.parenthesised(left):
                return False
            node = left

    def columns(self, nodes: Sequence[tree.Node]) -> list[int]:
        """For every line the width of the names in its run of settings, between blank lines and other lines."""
        out: list[int] = []
        run: list[str] = []
        for i, node in enumerate(nodes):
            is_setting = isinstance(node, tree.Constant | tree.Binding)
            before = self.source.text[nodes[i - 1].span.end : node.span.start] if i else ""
            if run and (not is_setting or _EMPTY_LINE.search(before)):
                out.extend([_column(run)] * len(run))
                run = []
            if is_setting:
                run.append(node.name.text)
            else:
                out.append(0)
        return [*out, *[_column(run)] * len(run)]

    def apart(self, before: _Entry, entry: _Entry) -> bool:
        """Whether an empty line stands between two of them."""
        return _EMPTY_LINE.search(self.source.text[before.end : entry.start]) is not None

    def remarks_of(self, node: tree.Node, part: str = "") -> Remarks:
        container = self.containers.get((id(node), part))
        return self.remarks.get(container, Remarks()) if container is not None else Remarks()


def _column(run: list[str]) -> int:
    return max((len(name) for name in run if len(name) <= COLUMN), default=0)


def _open_flows(node: tree.Node) -> Iterator[tree.Node]:
    """Flows in which a line break before an arrow is the author's to choose."""
    match node:
        case tree.Body():
            yield from node.lines
        case tree.Constant() | tree.Binding() | tree.Function():
            yield node.value
        case tree.Named():
            yield node.flow
