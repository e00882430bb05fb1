"""`dlspec plan`: what a model and its training cost."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .chosen_model import add_model_argument, chosen_graph, tell_of_other_models
from .console import Console, table
from .python_argument import add_python_argument
from .spec_analysis import analysed, report_left_out
from .units import bytes_text, count_text

if TYPE_CHECKING:
    from ..compiler.backends.plan import Plan
    from ..compiler.ir.graph import Graph
    from ..compiler.training.plan import TrainPlan

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    add_python_argument(parser)
    add_model_argument(parser)
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to plan for (the last of the file)")
    parser.add_argument("--batch", type=_count, metavar="N", help="examples computed at once (the recipe's)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: what there is here")
    parser.add_argument("--memory", type=_bytes, metavar="SIZE", help="find the largest batch for it: 24GB, 80GiB")


def run(options: Namespace, console: Console) -> int:
    from ..compiler.backends.plan import plan
    from .recipe_costs import device_here, training_of

    analysis = analysed(options.file, options.set, allow_python=options.allow_python)
    graph, recipe = chosen_graph(analysis, options.recipe, options.model)
    if graph is None:
        return report_left_out(analysis, "nothing can be counted", options, console)
    costs = plan(graph, training_of(graph, recipe, options.batch, device_here(options.device)))
    fits = _largest(graph, costs, options.memory)
    if console.json:
        recipe_name = None if recipe is None else recipe.recipe
        console.document(model=graph.model.name, recipe=recipe_name, **_json(costs, fits))
    else:
        _print(graph, recipe, costs, console)
        tell_of_unbounded(costs.sizes, costs.unbounded, console)
        if costs.uncounted:
            listed = " and ".join(costs.uncounted)
            what = "what is computed and kept inside is not known, and not counted"
            console.note(f"{listed}: written in Python, so {what}")
        if fits is not None and options.memory is not None:
            console.print(_advice(costs.training.batch, fits, options.memory))
    tell_of_other_models(analysis, graph, options, console)
    return report_left_out(analysis, "", options, console)


def _largest(graph: Graph, costs: Plan, memory: int | None) -> int | None:
    from ..compiler.backends.plan import largest_batch

    return None if memory is None else largest_batch(graph, costs.training, memory)


def _json(costs: Plan, fits: int | None) -> dict[str, Any]:
    memory = costs.memory
    return {
        "parameters": costs.parameters,
        "trainable_parameters": costs.trainable_parameters,
        "flops_per_sample": costs.flops_per_sample,
        "batch": costs.training.batch,
        "accumulate": costs.training.accumulate,
        "precision": costs.training.precision,
        "device": costs.training.device,
        "sizes": dict(costs.sizes),
        "uncounted": list(costs.uncounted),
        "memory": vars(memory),
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "shape": list(layer.shape),
                "parameters": layer.parameters,
                "flops": layer.flops,
            }
            for layer in costs.layers
        ],
        **({} if fits is None else {"largest_batch": fits}),
    }


def _print(graph: Graph, recipe: TrainPlan | None, costs: Plan, console: Console) -> None:
    from ..compiler.backends.plan import layers_together

    rows = layer_rows(layers_together(graph, costs.training))
    console.print(table(rows, right=frozenset({"parameters", "FLOPs"})))
    console.print()
    training, need = costs.training, costs.memory
    at = "".join(f", {size}" for size in size_texts(costs.sizes))
    parts = f" in {training.accumulate} parts" if training.accumulate > 1 else ""
    frozen = costs.parameters - costs.trainable_parameters
    console.print(f"parameters    {costs.parameters:,}{f', {frozen:,} of them frozen' if frozen else ''}")
    console.print(f"forward pass  {count_text(costs.flops_per_sample)}FLOP an example{at}")
    alone = "" if recipe is not None else "; no recipe, so without an optimizer"
    console.print(f"training      batch {training.batch:,}{parts}, {training.precision}, {training.device}{alone}")
    for name, size in vars(need).items():
        besides = _besides_parameters(graph, costs) if name == "weights" else ""
        console.print(f"  {name:<11} {bytes_text(size):>10}{besides}")


def _besides_parameters(graph: Graph, costs: Plan) -> str:
    """What is counted as weights besides those that the model computes with: copies of them."""
    from ..compiler.backends.activations import FLOAT
    from ..compiler.ir.weights import momentum_copies

    average = f"{bytes_text(FLOAT * costs.parameters)} of it the moving average (`ema`)"
    found = [average] if costs.training.averages else []
    copies = ", ".join(f"`{name}`" for name in momentum_copies(graph))
    return "".join(f", {text}" for text in [*found, *([f"with the momentum copies {copies}"] if copies else [])])


def size_texts(sizes: Mapping[str, int]) -> list[str]:
    """What open dims were counted with: `T = 1,024`."""
    return [f"{name} = {size:,}" for name, size in sizes.items()]


def tell_of_unbounded(sizes: Mapping[str, int], unbounded: tuple[str, ...], console: Console) -> None:
    """Where open dims have no limit, and were counted as small as they may be."""
    if unbounded:
        listed = ", ".join(unbounded)
        them, were = ("it", "it was") if len(unbounded) == 1 else ("them", "each was")
        least = " and ".join(dict.fromkeys(f"{sizes[name]:,}" for name in unbounded))
        console.note(f"{listed}: nothing bounds {them}, and {were} counted as {least} (write `{unbounded[0]} <= 1024`)")


def _advice(batch: int, fits: int, memory: int) -> str:
    room = bytes_text(memory)
    if fits == 0:
        return f"not a single example fits into {room}"
    told = f"up to {fits:,} example{'' if fits == 1 else 's'} at once fit into {room}"
    if fits >= batch:
        return told
    accumulate = next(n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= fits)
    return f"{told}: a batch of {batch:,} with `accumulate = {accumulate}`"


def layer_rows(layers: list[Any]) -> list[dict[str, str]]:
    """The rows of a table of layers."""
    return [
        {
            "layer": layer.name,
            "type": layer.type,
            "shape": f"[{', '.join(map(str, layer.shape))}]",
            "parameters": f"{layer.parameters:,}" if layer.parameters else "",
            "FLOPs": count_text(layer.flops) if layer.flops else "",
        }
        for layer in layers
    ]


def _count(text: str) -> int:
    if not text.replace("_", "").isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is no whole number of at least 1")
    return int(text)


def _bytes(text: str) -> int:
    from fractions import Fraction  # exact, and no amount is too large for it

    found = _MEMORY.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise ArgumentTypeError(f"{text} is no amount of memory: write 24GB, 80GiB or 512MB")
    number, prefix, binary = found.groups()
    if not prefix and not text.strip().endswith("B"):
        raise ArgumentTypeError(f"{text} has no unit: write {number}GB")
    return int(Fraction(number) * (1024 if binary else 1000) ** _POWERS[prefix])
