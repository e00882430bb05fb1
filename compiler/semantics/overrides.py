"""`--set name=value`: a constant of the file, or a dotted path into a recipe (`train.optimizer.lr=3e-4`),
through a phase where it has some (`train.judge.times=2`).

An override rewrites the syntax tree before anything looks at it, so that all that is computed from a constant follows,
and a fault in it is reported like one in the file, at `--set`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from shlex import quote

from ...grammar import Source, parse, tree
from .imports import Imported, all_imported
from .language import TRAIN_KEYS, TRAIN_SPELLINGS
from .nearest import nearest
from .report import Report


def apply_overrides(
    file: tree.File, imports: tuple[Imported, ...], overrides: Iterable[str], report: Report
) -> tuple[tree.File, tuple[Imported, ...]]:
    """The file and those it imports with each `name=value` put in, in order; what cannot be is reported."""
    for text in overrides:
        file, imports = _apply(file, imports, text, report)
    return file, imports


def _apply(
    file: tree.File, imports: tuple[Imported, ...], text: str, report: Report
) -> tuple[tree.File, tuple[Imported, ...]]:
    source = Source(f"--set {text}", text)
    whole = source.span(0, len(text))
    target, equals, value_text = text.partition("=")
    target = target.strip()
    if not equals or not target or not value_text.strip():
        report.error(
            "bad-override", "`--set` takes name=value", whole, "this is not of that form", help="--set width=512"
        )
        return file, imports
    value = _value(source, text.index("=") + 1, report)
    if value is None:
        return file, imports
    span = source.span(text.index(target), text.index(target) + len(target))
    head, *rest = target.split(".")
    if not rest:
        return _constant(file, imports, head, value, span, report)
    if head != "train":
        if nearest(head, ["train"]) is None and (way := _way(file, [head, *rest], value)):
            message = f"there is no place for `--set` `{head}`: a dotted path begins with `train`"
            report.error("unknown-name", message, span, "not known here", help=f"write `{way}`")
            return file, imports
        report.unknown("place for `--set`", head, span, ["train"], where=": a dotted path begins with `train`")
        return file, imports
    return _recipe(file, rest, value, span, report), imports


def _value(source: Source, offset: int, report: Report) -> tree.Flow | None:
    """The right side, read as in a file, with spans into the override."""
    lead = "dlspec 1\nx ="
    shifted = Source(source.name, lead + source.text[offset:] + "\n")
    parsed, found = parse(shifted)
    item = parsed.items[0] if len(parsed.items) == 1 else None
    if found or not isinstance(item, tree.Constant):
        message = found[0].message if found else "this is not a value"
        place = source.span(offset, len(source.text))
        report.error("bad-override", message, place, "in this value", help='a number, a word, "text" or a flow')
        return None
    return _moved(item.value, source, offset - len(lead))


def _moved(node: tree.Flow, source: Source, shift: int) -> tree.Flow:
    """The tree with its spans moved from the text that was parsed into the text that was given."""

    def moved(value: object) -> object:
        if isinstance(value, tree.Node):
            changes = {name: moved(getattr(value, name)) for name in value.__dataclass_fields__ if name != "span"}
            span = source.span(max(0, value.span.start + shift), max(0, value.span.end + shift))
            return replace(value, span=span, **changes)
        if isinstance(value, tuple):
            return tuple(moved(v) for v in value)
        return value

    return moved(node)  # type: ignore[return-value]


def _constant(
    file: tree.File,
    imports: tuple[Imported, ...],
    name: str,
    value: tree.Flow,
    span: tree.Span,
    report: Report,
) -> tuple[tree.File, tuple[Imported, ...]]:
    """Put the value into the constant of that name, the file's own or one that it imports."""
    brought = list(all_imported(imports))
    names = [constant for each in (file, *(one.file for one in brought)) for constant in _constants(each)]
    if name not in names:
        way = _way(file, [name], value, exactly=nearest(name, names) is not None)
        if way:
            message = f"there is no constant `{name}` in this file: it is the recipe's"
            report.error("unknown-name", message, span, "not known here", help=f"write `{way}`")
            return file, imports
        report.unknown("constant", name, span, names, where=" in this file")
        return file, imports
    changed: dict[int, Imported] = {}

    def within(imported: Imported) -> Imported:
        # A file that several import stays one.
        if id(imported) not in changed:
            inner = tuple(map(within, imported.imports))
            changed[id(imported)] = replace(imported, file=_with(imported.file, name, value), imports=inner)
        return changed[id(imported)]

    return _with(file, name, value), tuple(map(within, imports))


def _way(file: tree.File, parts: list[str], value: tree.Flow, *, exactly: bool = False) -> str:
    from .meant_paths import way_into_recipe  # only a mistake waits for it

    return way_into_recipe(file, parts, value.span.text, exactly=exactly)


def _constants(file: tree.File) -> list[str]:
    return [item.name.text for item in file.items if isinstance(item, tree.Constant)]


def _with(file: tree.File, name: str, value: tree.Flow) -> tree.File:
    def changed(item: tree.Item) -> tree.Item:
        return replace(item, value=value) if isinstance(item, tree.Constant) and item.name.text == name else item

    return replace(file, items=tuple(map(changed, file.items)))


def _recipe(file: tree.File, path: list[str], value: tree.Flow, span: tree.Span, report: Report) -> tree.File:
    recipes = [item for item in file.items if isinstance(item, tree.Train)]
    key, *options = path
    if not recipes:
        report.error("bad-override", "this file has no `train` section", span, "nothing to set here")
        return file
    phases = list(dict.fromkeys(phase.name.text for recipe in recipes for phase in _phases(recipe.body)))
    if key in phases and key not in TRAIN_KEYS:
        edit = _phase_setter(key, options, value, span, report)
        return file if edit is None else _with_recipes(file, edit)
    if key not in TRAIN_KEYS:
        from ..training.language import ELSEWHERE  # only a mistake waits for it

        elsewhere = ELSEWHERE.get(key)
        if elsewhere is not None and elsewhere.name:
            place = f"train.{elsewhere.key}.{elsewhere.name}"
            message = f"`{key}` is no key of `train`, but an option of `{elsewhere.key}`"
            way = _way(file, path, value) if not options else ""
            report.error("unknown-name", message, span, "not known here", help=f"write `{way or place}`")
            return file
        if key not in TRAIN_SPELLINGS and (way := _way(file, path, value)):
            message = f"there is no key in `train` called `{key}`"
            if key in {name.text for recipe in recipes for name in (recipe.model, recipe.recipe) if name is not None}:
                message = f"{message}: a path is for all recipes of the file, and names none"
            elif options and options[0] in phases:
                message = f"{message}: a path names the phase itself"
            report.error("unknown-name", message, span, "not known here", help=f"write `{way}`")
            return file
        report.unknown("key in `train` called", key, span, [*TRAIN_KEYS, *phases], TRAIN_SPELLINGS)
        return file
    return _with_recipes(file, _setter("train", key, options, value, span, report))


def _with_recipes(file: tree.File, edit: Callable[[tree.Body], tree.Body]) -> tree.File:
    items = tuple(replace(i, body=edit(i.body)) if isinstance(i, tree.Train) else i for i in file.items)
    return replace(file, items=items)


def _phases(body: tree.Body) -> list[tree.Phase]:
    return [line for line in body.lines if isinstance(line, tree.Phase)]


def _phase_setter(
    phase: str, path: list[str], value: tree.Flow, span: tree.Span, report: Report
) -> Callable[[tree.Body], tree.Body] | None:
    """What puts the value into the phases of this name of a `train` body; None (reported) where no key is named."""
    from ..training.language import PHASE_KEYS  # most overrides do not wait for it

    if not path:
        message = f"`{phase}` is a phase, and a path leads to one of its keys"
        report.error("bad-override", message, span, "a phase", help=f"--set train.{phase}.{PHASE_KEYS[0]}=...")
        return None
    key, *options = path
    if key not in PHASE_KEYS:
        report.unknown("key in a phase called", key, span, list(PHASE_KEYS))
        return None
    edit = _setter(f"train.{phase}", key, options, value, span, report)

    def inside(inner: tree.Body, outer: tree.Body) -> tree.Body:
        # An option of an optimizer that the phase has from outside: its own is that one, but for the option.
        own = any(isinstance(line, tree.Binding) and line.name.text == key for line in inner.lines)
        shared = [line for line in outer.lines if isinstance(line, tree.Binding) and line.name.text == key]
        return edit(replace(inner, lines=(*inner.lines, *shared)) if options and not own else inner)

    def within(body: tree.Body) -> tree.Body:
        lines = (
            replace(line, body=inside(line.body, body))
            if isinstance(line, tree.Phase) and line.name.text == phase
            else line
            for line in body.lines
        )
        return replace(body, lines=tuple(lines))

    return within


def _setter(
    place: str, key: str, options: list[str], value: tree.Flow, span: tree.Span, report: Report
) -> Callable[[tree.Body], tree.Body]:
    """What puts the value into a body of `train` or of a phase, `place`: over the whole key, or into an option of its
    call."""

    def edit(body: tree.Body) -> tree.Body:
        found = [line for line in body.lines if isinstance(line, tree.Binding) and line.name.text == key]
        if not options and key == "data" and found and (way := _way_to_file(found[0].value, value)):
            message = "`data` takes a source of data, and this names a file"
            report.error("wrong-value", message, value.span, "not a source of data", help=f"write `{way}`")
            return body
        if not options:
            name = tree.Name(key, span=span)
            line = replace(found[0], value=value) if found else tree.Binding(name, value, span=span)
            lines = tuple(line if old is (found[0] if found else None) else old for old in body.lines)
            return replace(body, lines=lines if found else (*lines, line))
        if found and (stage := _stage(found[0].value, options[0])) is not None:
            report.error(
                "bad-override",
                f"`{options[0]}` is a stage of `{key}`, and a path leads into options of its first stage",
                span,
                "a stage",
                help=_other_paths(f"{place}.{key}", found[0].value, stage, options[1:], value),
            )
            return body
        if not found or len(options) != 1:
            problem = f"`{key}` is not in this section" if not found else "a path ends with an option of its key"
            report.error("bad-override", problem, span, "nothing to set here", help=f"--set {place}.{key}=...")
            return body
        changed = replace(found[0], value=_with_option(found[0].value, options[0], value, span, report))
        return replace(body, lines=tuple(changed if old is found[0] else old for old in body.lines))

    return edit


def _way_to_file(source: tree.Flow, value: tree.Flow) -> str:
    """What sets the file of the source that a recipe has; empty where the value names none."""
    if not isinstance(value, tree.String) and not (isinstance(value, tree.Stage) and len(value.path.parts) > 1):
        return ""
    from ..training.written_files import file_named, option_for_file  # only a mistake waits for it

    option, name = option_for_file(source), file_named(value)
    setting = f'train.data.{option}="{name}"'
    return f"--set {quote(setting)}" if option and name else ""


def _stage(flow: tree.Flow, word: str) -> tree.Stage | None:
    """The stage of a flow that is called so."""
    stages = flow.stages if isinstance(flow, tree.Then) else (flow,)
    return next((stage for stage in stages if isinstance(stage, tree.Stage) and str(stage.path) == word), None)


def _other_paths(path: str, flow: tree.Flow, stage: tree.Stage, options: list[str], value: tree.Flow) -> str:
    """What to set in place of an option of a stage: that of the first stage, or the flow as a whole."""
    from ..training.leading import leading_option  # only a mistake waits for it

    args = stage.args or ()
    leading = leading_option(path.rpartition(".")[2], str(stage.path))
    option = options[0] if options else leading
    if option is None:
        return f"--set {path}=..."
    first = option == leading and bool(args) and not isinstance(args[0], tree.Keyword)
    given = value.span.text if first or not options else f"{option} = {value.span.text}"
    kept = [a.span.text for a in args[first:] if not (isinstance(a, tree.Keyword) and a.name.text == option)]
    written = f"{stage.path}({', '.join([given, *kept])})"
    text, start = flow.span.text, flow.span.start
    whole = f"{text[: stage.span.start - start]}{written}{text[stage.span.end - start :]}"
    as_a_whole = f"--set {quote(f'{path}={whole}')}"
    begins = stage is (flow.stages[0] if isinstance(flow, tree.Then) else flow)
    return f"--set {path}.{option}={value.span.text}, or {as_a_whole}" if begins else as_a_whole


def _with_option(flow: tree.Flow, option: str, value: tree.Flow, span: tree.Span, report: Report) -> tree.Flow:
    if isinstance(flow, tree.Then):
        first = _with_option(flow.stages[0], option, value, span, report)
        return replace(flow, stages=(first, *flow.stages[1:]))
    if not isinstance(flow, tree.Stage):
        report.error("bad-override", "this key holds no call with options", span, f"`{flow.span.text}` takes none")
        return flow
    keyword = tree.Keyword(tree.Name(option, span=span), value, span=span)
    args = flow.args or ()
    kept = tuple(a for a in args if not (isinstance(a, tree.Keyword) and a.name.text == option))
    if len(kept) == len(args):
        return replace(flow, args=(*args, keyword))
    return replace(flow, args=tuple(keyword if a not in kept else a for a in args))
