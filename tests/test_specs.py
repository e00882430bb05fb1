"""The specs that ship: without a fault, in the one layout, short, of their published sizes, and so when emitted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dlspec.compiler.backends.plan import plan
from dlspec.compiler.backends.pytorch.not_emitted import not_emitted
from dlspec.compiler.backends.sizes import Sizes
from dlspec.compiler.ir.graph import Copies, Experts, Graph, Node, Unit, UnitModule, Value, regions
from dlspec.compiler.ir.weights import weights
from dlspec.compiler.pipeline import Analysis, analyse, emit
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar import Source, format, parse

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "specs"
LONGEST = 60  # lines: a figure of a textbook

# What `dlspec plan` counts. AlexNet, DenseNet, EfficientNet, GoogLeNet, ResNet, VGG and ViT are torchvision's, BERT,
# Gemma 2, GPT-2, Llama 3 and T5 are transformers'; the others were worked out by hand.
SIZES = {
    "addition": 151_435,
    "alexnet": 61_100_840,
    "autoencoder": 2_837_314,
    "bert": 109_482_240,
    "bilstm": 1_683_970,
    "chargpt": 804_096,
    "convnet": 315_146,
    "dcgan": 6_342_272,
    "densenet": 7_978_856,
    "digits": 8_970,
    "digits_resnet": 77_290,
    "efficientnet": 5_288_548,
    "gemma2": 2_614_341_888,
    "googlenet": 6_624_904,
    "gpt": 124_439_808,
    "gru": 153_096,
    "highway": 284_560,
    "lenet": 61_706,
    "llama": 8_030_261_248,
    "logistic": 31,
    "lstm": 13_280_400,
    "mlp": 242_762,
    "mixtral": 46_702_792_704,
    "moco": 27_966_656,
    "preresnet": 1_730_522,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "reversal": 205_451,
    "rnn": 333_441,
    "roberta": 124_695_129,
    "seq2seq": 33_783_424,
    "simclr": 27_966_656,
    "t5": 60_506_624,
    "transfer": 11_195_493,
    "transformer": 63_082_496,
    "unet": 31_038_933,
    "vae": 652_824,
    "vgg": 138_357_544,
    "vit": 86_567_656,
}
# The same files with other constants.
OTHERS = {
    "GPT-2 medium": ("gpt", "dim=1024 heads=16 depth=24", 354_823_168),
    "GPT-2 large": ("gpt", "dim=1280 heads=20 depth=36", 774_030_080),
    "GPT-2 XL": ("gpt", "dim=1600 heads=25 depth=48", 1_557_611_200),
    "BERT-large": ("bert", "dim=1024 heads=16 depth=24", 335_141_888),
    "ViT-L/16": ("vit", "dim=1024 heads=16 depth=24", 304_326_632),
    "Llama 3 70B": ("llama", "dim=8192 hidden=28_672 heads=64 depth=80", 70_553_706_496),
    "DenseNet-121 of ten classes": ("densenet", "classes=10", 6_964_106),
}


def spec(name: str) -> Source:
    return Source(f"{name}.dlspec", (SPECS / f"{name}.dlspec").read_text(encoding="utf-8"))


@cache
def analysed(name: str, overrides: str = "") -> Analysis:
    return analyse(spec(name), overrides.split())


def trained_graph(name: str, overrides: str = "") -> Graph:
    """Of the model that the last recipe of the file trains."""
    found = analysed(name, overrides)
    assert not found.failed and found.spec is not None, [d.message for d in found.diagnostics]
    *_, recipe = found.spec.scope.recipes.values()
    return found.graphs[recipe.model.text]


@pytest.mark.no_torch
def test_every_spec_that_ships_is_here() -> None:
    assert SIZES.keys() == {path.stem for path in SPECS.glob("*.dlspec")}


@pytest.mark.no_torch
@pytest.mark.parametrize("name", SIZES)
def test_a_spec_has_no_fault(name: str) -> None:
    """Notes about what this version cannot run yet are allowed."""
    found = analysed(name)
    assert [d.message for d in found.diagnostics if d.severity != "note"] == []
    assert found.spec is not None and found.spec.scope.recipes
    assert found.plans.keys() == found.spec.scope.recipes.keys()
    assert found.graphs.keys() == found.spec.scope.models.keys()


@pytest.mark.no_torch
@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.dlspec")), ids=lambda path: path.stem)
def test_a_spec_is_laid_out_and_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    source = Source(path.name, text)
    file, faults = parse(source)
    assert not faults
    assert format(file, source) == text
    assert text.count("\n") < LONGEST
    first, *header = text.split("\n\n")[0].splitlines()
    assert first == "dlspec 1" and header and all(line.startswith("# ") for line in header)


@pytest.mark.no_torch
@pytest.mark.parametrize("name", SIZES)
def test_a_spec_has_its_published_size(name: str) -> None:
    costs = plan(trained_graph(name))
    assert costs.parameters == SIZES[name]
    assert sum(layer.parameters for layer in costs.layers) == SIZES[name]


@pytest.mark.no_torch
@pytest.mark.parametrize("name", SIZES)
def test_a_spec_says_its_size(name: str) -> None:
    header = spec(name).text.split("\n\n")[0]
    size = SIZES[name]
    assert any(f" {words} parameters" in header for words in (f"{size:,}", f"{size / 1e6:.0f}M", f"{size / 1e6:.1f}M"))


@pytest.mark.no_torch
@pytest.mark.parametrize(("name", "overrides", "parameters"), OTHERS.values(), ids=OTHERS.keys())
def test_the_size_of_a_relative(name: str, overrides: str, parameters: int) -> None:
    assert plan(trained_graph(name, overrides)).parameters == parameters


@pytest.mark.no_torch
def test_the_checkpoint_of_resnet18_fits_where_it_is_to_be_learned_from() -> None:
    """transfer.dlspec takes all of it but the head, which has other classes."""
    shapes = [{w.key: w.shape for w in weights(trained_graph(name))} for name in ("resnet18", "transfer")]
    before, after = ({key: shape for key, shape in found.items() if not key.startswith("head.")} for found in shapes)
    assert before == after


@pytest.mark.no_torch
@pytest.mark.parametrize("name", SIZES)
def test_the_graphs_of_a_spec_keep_the_rules(name: str) -> None:
    for graph in analysed(name).graphs.values():
        for unit in units(graph.model):
            assert list(broken_rules(unit)) == []


def units(unit: Unit) -> Iterator[Unit]:
    """The unit and all inside it, each once."""
    yield unit
    for module in unit.modules:
        match module:
            case UnitModule(unit=inner):
                yield from units(inner)
            case Copies(units=inside) | Experts(units=inside):
                for inner in dict.fromkeys(inside):
                    yield from units(inner)


def broken_rules(unit: Unit) -> Iterator[str]:
    """A value has one producer, which stands before its uses; a unit reads its own inputs alone; a node that runs a
    module finds it; all modules have names of their own."""
    names = [module.name for module in unit.modules]
    if len(names) != len(set(names)):
        yield f"{unit.name}: two modules of one name"
    made = set(unit.inputs)
    yield from _broken_in(unit.nodes, made, set(names), unit.name)
    if not made.issuperset(unit.outputs):
        yield f"{unit.name}: nothing makes an output"


def _broken_in(nodes: tuple[Node, ...], made: set[Value], modules: set[str], where: str) -> Iterator[str]:
    for node in nodes:
        if not made.issuperset(node.inputs):
            yield f"{where}: {node.op} reads what is not there"
        if node.module is not None and node.module not in modules:
            yield f"{where}: there is no module {node.module}"
        for region in regions(node.op):
            inside = {*made, region.input}
            yield from _broken_in(region.nodes, inside, modules, where)
            if region.output not in inside:
                yield f"{where}: nothing makes the output of {node.op}"
        if made.intersection(node.outputs):
            yield f"{where}: {node.op} makes what is there already"
        made.update(node.outputs)


@cache
def emitted_model(name: str, overrides: str = "", device: str = "meta") -> Any:
    """The emitted class of the model that is trained, with its initial weights where the device has memory."""
    import torch

    from dlspec.runtime.program import load_text

    if any(True for _ in not_emitted(trained_graph(name, overrides))):
        pytest.skip("this version does not emit it")
    artefact = emit(analysed(name, overrides))
    with torch.device("meta"):
        model = getattr(load_text(artefact.name, artefact.model_code), artefact.graph.model.name)()
    if device != "meta":
        model.to_empty(device=device)
        model.init_weights(torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("name", SIZES)
def test_the_emitted_model_has_the_planned_size(name: str) -> None:
    assert sum(p.numel() for p in emitted_model(name).parameters() if p.requires_grad) == SIZES[name]


def run(graph: Graph, model: Any, device: str) -> None:
    """Forward in training and in evaluation: outputs have the types the graph says."""
    import torch

    sizes = Sizes({"B": 2, "T": 5, "S": 7, "H": 67, "W": 70})

    def shape(value: Value) -> tuple[int, ...]:
        assert isinstance(value.type, Tensor)
        return tuple(map(sizes.of, value.type.dims))

    def example(value: Value) -> torch.Tensor:
        if isinstance(value.type, Tensor) and value.type.dtype == "int":
            return torch.ones(shape(value), dtype=torch.long, device=device)
        return torch.randn(shape(value), device=device)

    inputs = [example(value) for value in graph.model.inputs]
    for mode in (True, False):
        given = model.train(mode)(*inputs)
        outputs = given if isinstance(given, tuple) else (given,)
        assert [tuple(y.shape) for y in outputs] == [shape(value) for value in graph.model.outputs]
        assert device == "meta" or all(y.isfinite().all() for y in outputs)


@pytest.mark.parametrize(
    "name", sorted(SIZES.keys() - {"bilstm", "mixtral", "seq2seq"})
)  # what is packed by its lengths, or sent to experts, has no meta form
def test_the_emitted_model_gives_the_shapes_it_says(name: str) -> None:
    run(trained_graph(name), emitted_model(name), "meta")


# What no other test runs, as small as it can be.
SMALL = {
    "bilstm": "vocab=300",
    "bert": "vocab=300 dim=32 heads=4 depth=2",
    "gemma2": "vocab=300 dim=32 hidden=64 depth=2",
    "highway": "",
    "llama": "vocab=300 dim=64 hidden=96 heads=8 kv_heads=2 depth=2",
    "mixtral": "vocab=300 dim=64 hidden=96 heads=8 kv_heads=2 depth=2",
    "logistic": "",
    "lstm": "vocab=300 dim=16",
    "seq2seq": "vocab=300 dim=16 hidden=16",
    "t5": "vocab=300 dim=32 depth=2",
    "transformer": "vocab=300 dim=32 depth=2",
    "vae": "",
    "vit": "side=64 dim=48 depth=2",
}


@pytest.mark.parametrize(("name", "overrides"), SMALL.items(), ids=SMALL.keys())
def test_a_small_one_runs(name: str, overrides: str) -> None:
    run(trained_graph(name, overrides), emitted_model(name, overrides, "cpu"), "cpu")
