"""The compiler on one screen: parse -> resolve -> build -> passes -> emit.

    source text --parse--> syntax tree --resolve--> names, constants, overrides
                --build--> a graph for each model (types worked out) and a plan for each recipe
                --passes--> the graph that is emitted
                --emit--> <name>.py, <name>_recipe.py, settings

`analyse` goes as far as the passes and never raises; `compile` emits, and raises SpecError where it cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..grammar import Diagnostic, Source, SpecError, parse, tree
from ..grammar.frozen import Frozen
from .backends.pytorch.not_emitted import not_emitted
from .build.circles import check_constants
from .build.defaults import check_file_defaults
from .build.endless_blocks import report_endless
from .build.model import build_model
from .build.spelling import check_spelling, check_used
from .build.unplaced import check_unplaced
from .build.untried import Untried
from .collector import no_collections
from .depth import room_for_depth
from .ir.beside import files_beside
from .ir.graph import Graph
from .ir.units import layers_in
from .ir.weights import parameter_count, weights
from .passes import EXPORT_PASSES, PASSES, Pass
from .semantics.imports import Imported, Importer, Reader, all_imported, kept_name, reader_of
from .semantics.nearest import nearest
from .semantics.number import whole
from .semantics.report import Report
from .semantics.resolve import FileScope, Spec, first_model, resolve
from .semantics.tensor import UNKNOWN
from .training.exports import ExportPlan, check_forms, read_export
from .training.read import Ports, TrainPlan, read_train

if TYPE_CHECKING:
    from .backends.triton.file import KernelFile
    from .backends.triton.variant import Variant


class Analysis(Frozen):
    """All that is known of a file without emitting: `graphs` by model, `recipes` and `exports` by their names.

    A model or recipe that has a fault, or needs a later version, is missing there; `plans` has the recipes that need
    one too.
    """

    source: Source
    file: tree.File
    spec: Spec | None
    graphs: dict[str, Graph]
    plans: dict[str, TrainPlan]
    exports: dict[str, ExportPlan]
    diagnostics: list[Diagnostic]
    imports: Mapping[str, str] = field(default_factory=dict)
    """The texts of the imported files, to be kept with the spec (`Source.files`)."""

    @property
    def recipes(self) -> dict[str, TrainPlan]:
        return {name: plan for name, plan in self.plans.items() if plan.runs}

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)


class Artefact(Frozen):
    """What the compiler hands over: the emitted texts, and the settings of a run as plain JSON.

    `export_code` is the form that TorchScript scripts; `recipe_code` and `settings` are None without a recipe.
    """

    name: str
    graph: Graph
    model_code: str
    export_code: str
    recipe_code: str | None
    settings: dict | None
    diagnostics: list[Diagnostic]
    imports: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    """The files with layers written in Python, which the model imports: their texts by file name."""
    kernels: Mapping[str, str] = field(default_factory=dict)
    """The file with its kernels, likewise; nothing where it has none."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """What the model calls of that file, by name."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """What goes by another name in that file, being the same."""
    kernels_word: str = "auto"
    """What the recipe says of kernels, or what went before it."""
    without_kernels: Mapping[str, str] = field(default_factory=dict)
    """What has no kernels though they were asked for, with what there are none for: layers by their words."""

    @property
    def files(self) -> dict[str, str]:
        """File name -> text, as `emit` writes them."""
        recipe = {f"{self.name}_recipe.py": self.recipe_code} if self.recipe_code is not None else {}
        return {f"{self.name}.py": self.model_code} | recipe | self.imported

    @property
    def imported(self) -> dict[str, str]:
        """What the model imports, by file name."""
        return dict(self.beside) | dict(self.kernels)


@no_collections()
@room_for_depth()
def analyse(
    source: Source, overrides: Sequence[str] = (), read: Reader | None = None, *, allow_python: bool = False
) -> Analysis:
    """Everything up to the passes, with all findings in source order.

    `read` reads the files that the spec imports: left out, those kept with it, or those on the disk. `allow_python`
    runs those that are written in Python.
    """
    file, found = parse(source)
    report = Report(found)
    try:
        return _analyse(source, file, found, report, overrides, read, allow_python=allow_python)
    except RecursionError:
        report.too_deep(source.span(0, 0), "in this file")
        return Analysis(source, file, None, {}, {}, {}, report.diagnostics)


def _analyse(
    source: Source,
    file: tree.File,
    found: list[Diagnostic],
    report: Report,
    overrides: Sequence[str],
    read: Reader | None,
    *,
    allow_python: bool,
) -> Analysis:
    broken = report.failed
    imports = Importer(read or reader_of(source), report, allow_python).imports(source, file)
    if overrides:
        from .semantics.overrides import apply_overrides  # most checks have none, and do not wait for it

        file, imports = apply_overrides(file, imports, overrides, report)
    spec = resolve(source, file, report, imports)
    if spec.scope.functions:
        spec.scope.scalars.read_all()
    check_file_defaults(spec.scope, report)
    check_spelling(spec.scope, report)
    report_endless(spec.scope, report)
    graphs: dict[str, Graph] = {}
    plans: dict[str, TrainPlan] = {}
    exports: dict[str, ExportPlan] = {}
    untried = Untried()
    trained = {recipe: _trained(train, spec.scope, file) for recipe, train in spec.scope.recipes.items()}
    for name, model in spec.scope.models.items():
        own = Report(names_elsewhere=report.names_elsewhere)
        built = build_model(spec, model, own, untried)
        for diagnostic in own.diagnostics:
            report.add(diagnostic)
        if built.graph is not None and not broken:
            graphs[name] = run_passes(built.graph, PASSES)
            for what, span in not_emitted(graphs[name]):
                report.later(what, span)
        for recipe, train in spec.scope.recipes.items():
            if trained[recipe] == name:
                plan = read_train(train, spec.scope, built.ports, report)
                if plan is not None:
                    plans[recipe] = plan
                if plan is not None and built.graph is not None:
                    _hold_against_data(plan, built.graph, report)
                if plan is not None and plan.rates and built.graph is not None:
                    from .training.factors import check_factors  # most recipes have one rate

                    check_factors(plan.rates, [weight.key for weight in weights(built.graph)], report)
                if plan is not None and plan.phases and built.graph is not None:
                    from .training.phases import check_updated

                    made = {weight.key: weight.tied_to or weight.key for weight in weights(built.graph)}
                    check_updated(plan.phases, plan.freeze, plan.rates, made, report)
                if built.graph is not None and not parameter_count(built.graph):
                    _nothing_to_train(train.model, report)
    untried.check(report)
    check_unplaced(spec.scope, report)
    check_constants(spec.scope, report)
    for recipe, train in spec.scope.recipes.items():
        if trained[recipe] is None:
            read_train(train, spec.scope, _ports_as_named(train), report)
    for name, export in spec.scope.exports.items():
        plan = read_export(export, spec.scope, report)
        if plan is not None:
            exports[name] = plan
        if plan is not None and name in graphs:
            check_forms(plan, export, graphs[name], report)
    check_used(spec.scope, report)
    said = report.diagnostics
    if any(finding.severity != "note" for finding in said):
        # Most files have no fault, and do not wait for what knows about faults.
        from .findings import told

        said = told(said, found, file, imports)
    said = _own_first(said, source, imports)
    kept = {kept_name(one.source.name, source): one.source.text for one in all_imported(imports)}
    return Analysis(source, file, spec, graphs, plans, exports, said, kept)


def _own_first(said: list[Diagnostic], source: Source, imports: tuple[Imported, ...]) -> list[Diagnostic]:
    """The findings in the file itself, then those in the files that it imports, in that order."""
    order = {source.name: 1}
    for one in all_imported(imports):
        order.setdefault(one.source.name, len(order) + 1)
    # What no file has stands in an override, or in a file that could not be read.
    return sorted(said, key=lambda d: order.get(d.span.source.name, 0))


def _trained(train: tree.Train, scope: FileScope, file: tree.File) -> str | None:
    """The model of a recipe, or the one that was meant where the file has none of that name (which is reported): what
    stands in the recipe is held against it. None where that is not clear, or it may be on a line that was not read."""
    name = train.model.text
    if name in scope.models or any(name in span.text for span in file.unread):
        return name if name in scope.models else None
    return nearest(name, scope.models)


def _ports_as_named(train: tree.Train) -> Ports:
    """Of a model that the file has not, or not in a form that can be read: any name may be an output of it."""
    named = {node.parts[0] for node in tree.walk(train.body) if isinstance(node, tree.Path)}
    return Ports(train.model.text, {}, dict.fromkeys(named, UNKNOWN))


def _nothing_to_train(model: tree.Name, report: Report) -> None:
    message, label = f"`{model}` has no weights, so there is nothing to train", "no layer of it has weights"
    report.error("no-weights", message, model.span, label, help="give it one that has, such as `Linear`")


def _hold_against_data(plan: TrainPlan, graph: Graph, report: Report) -> None:
    """What layers say of the data that comes to them. What reports it is loaded where a layer may be wrong at all."""
    fields = (plan.data.fields or {}).values()
    values = [whole(field.classes) for field in fields if field.classes is not None and field.classes.value is not None]
    layers = list(layers_in(graph.model))
    if values and any(layer.word == "Embedding" for layer in layers):
        from .layers.embedding import Embedding

        if any(isinstance(layer, Embedding) and whole(layer.count) < max(values) for layer in layers):
            from .training.small_tables import check_tables

            check_tables(plan, graph, report)
    if plan.data.source.options.following and any(layer.sees_ahead for layer in layers):
        from .training.seen_targets import check_unseen

        check_unseen(plan, graph, report)


def run_passes(graph: Graph, passes: Sequence[Pass]) -> Graph:
    return reduce(lambda g, run: run(g), passes, graph)


def compile(
    source: Source,
    overrides: Sequence[str] = (),
    recipe: str | None = None,
    *,
    allow_python: bool = False,
    tiles: Mapping[str, Any] = MappingProxyType({}),
) -> Artefact:
    """Emit a spec's model with one of its recipes (the last, where none is named).

    Raises SpecError where the spec has errors or asks for what this version has not.
    """
    return emit(analyse(source, overrides, allow_python=allow_python), recipe, tiles=tiles)


@room_for_depth()
def emit(
    analysis: Analysis,
    recipe: str | None = None,
    kernels: str | None = None,
    tiles: Mapping[str, Any] = MappingProxyType({}),
) -> Artefact:
    """The emission of what was analysed. Raises SpecError as `compile` does.

    A recipe that this version cannot run is left out: the model is emitted all the same. `kernels` is a word for the
    recipe's key of that name, and goes before it. `tiles` are tables of tiles, by name, in place of those that come
    with dlspec. Where they are not the kernels', WrongTiles is raised.
    """
    # A check is quicker without what only an emission needs.
    from .backends.pytorch.initial import Scheme
    from .backends.pytorch.module import emit_module
    from .backends.pytorch.parts import parts_of
    from .backends.pytorch.recipe import emit_recipe
    from .backends.pytorch.views import views_of
    from .training.settings import model_settings, settings

    spec = analysis.spec
    if analysis.failed or spec is None:
        raise SpecError(analysis.diagnostics)
    model, recipe = _chosen(spec, recipe)
    if model not in analysis.graphs:
        raise SpecError([d for d in analysis.diagnostics if d.code == "not-in-this-version"] or analysis.diagnostics)
    graph = analysis.graphs[model]
    if any(True for _ in not_emitted(graph)):
        raise SpecError([d for d in analysis.diagnostics if d.code == "not-in-this-version"])
    plan = analysis.recipes.get(recipe) if recipe is not None else None
    source_name = f"{spec.name}.dlspec"
    scheme = plan.scheme if plan is not None else Scheme()
    kernels_word = kernels or (plan.kernels if plan is not None else "auto")
    kernel_file = _kernel_file(spec, kernels_word, tiles)
    return Artefact(
        name=spec.name,
        graph=graph,
        model_code=emit_module(
            _with_kernels(graph, kernel_file, plan),
            source_name,
            scheme,
            kernels=kernel_file,
            views=views_of(graph, plan),
        ),
        export_code=emit_module(run_passes(graph, EXPORT_PASSES), source_name, scheme, exporting=True),
        recipe_code=None if plan is None else emit_recipe(plan, source_name, model, kernel_file, parts_of(graph)),
        settings=settings(
            plan, spec.name, model_settings(graph, parameter_count(graph)), _fused_loss(graph, plan, kernel_file)
        )
        if plan is not None
        else None,
        diagnostics=analysis.diagnostics,
        imports=analysis.imports,
        beside=files_beside(graph),
        kernels={} if kernel_file is None or kernel_file.empty else {kernel_file.name: kernel_file.text(source_name)},
        variants={} if kernel_file is None else kernel_file.variants,
        merged={} if kernel_file is None else kernel_file.merged,
        kernels_word=kernels_word,
        without_kernels={} if kernel_file is None else kernel_file.plain,
    )


@room_for_depth()
def emit_alone(analysis: Analysis, model: str) -> Artefact:
    """A model of what was analysed without a recipe: one that stands inside another, and is exported by itself."""
    from .backends.pytorch.module import emit_module

    assert analysis.spec is not None
    graph, source_name = analysis.graphs[model], f"{analysis.spec.name}.dlspec"
    return Artefact(
        name=analysis.spec.name,
        graph=graph,
        model_code=emit_module(graph, source_name),
        export_code=emit_module(run_passes(graph, EXPORT_PASSES), source_name, exporting=True),
        recipe_code=None,
        settings=None,
        diagnostics=analysis.diagnostics,
        imports=analysis.imports,
        beside=files_beside(graph),
    )


def _kernel_file(spec: Spec, word: str, tiles: Mapping[str, Any]) -> KernelFile | None:
    """`auto` is the plain form for who does not know where it will run."""
    if word != "triton":
        return None
    from .backends.pytorch.names import safe_name
    from .backends.triton.file import KernelFile  # which needs libcst

    return KernelFile(spec.name, {*map(safe_name, spec.scope.functions)}, tiles)


def _fused_loss(graph: Graph, plan: TrainPlan, kernels: KernelFile | None) -> dict[str, Any]:
    """What the settings say of a loss that kernels compute."""
    if kernels is None:
        return {}
    from .backends.triton.fuse_loss import loss_in_model
    from .backends.triton.losses import own_dtype

    outputs, loss = own_dtype(plan), loss_in_model(graph, plan)
    found: dict[str, Any] = {"own_dtype": outputs} if outputs else {}
    return found if loss is None else found | {"in_model": {loss.name: loss.source}}


def _with_kernels(graph: Graph, kernels: KernelFile | None, plan: TrainPlan | None) -> Graph:
    if kernels is None:
        return graph
    from .backends.triton.fuse_activations import fuse_activations
    from .backends.triton.fuse_adds import fuse_adds
    from .backends.triton.fuse_gates import fuse_gates
    from .backends.triton.fuse_loss import fuse_loss, loss_in_model
    from .backends.triton.narrow_norms import narrow_norms

    loss = None if plan is None else loss_in_model(graph, plan)
    graph = fuse_gates(fuse_adds(graph))
    graph = graph if loss is None else fuse_loss(graph, loss)
    return narrow_norms(fuse_activations(graph))


def _chosen(spec: Spec, recipe: str | None) -> tuple[str, str | None]:
    """The model and recipe to emit: the recipe asked for, else the last of the file, else a model without one."""
    recipes = spec.scope.recipes
    if recipe is not None and recipe not in recipes:
        report = Report()
        whole = spec.source.span(0, 0)
        report.unknown("recipe", recipe, whole, recipes, where=" in this file")
        raise SpecError([replace(d, fixes=()) for d in report.diagnostics])
    if recipe is None and recipes:
        recipe = next(reversed(recipes))
    if recipe is not None:
        return recipes[recipe].model.text, recipe
    model = first_model(spec)
    assert model is not None
    return model.name.text, None
