"""From the fields of a batch to the arguments of the model, the loss and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .settings import Hits, Measure, Phase, Port, SetMetrics, Settings

# Never counts, whatever `ignore` says: what data sources put where nothing is asked.
IGNORED = -100


def model_values(
    model: nn.Module, options: Settings, batch: Mapping[str, Tensor], phase: Phase | None = None
) -> dict[str, Tensor]:
    """Run the model on a batch: tensors by "input.NAME", "data.FIELD", "output.NAME". With a `phase` the outputs are
    those that it asks for."""
    inputs, values = _given(options, batch)
    asked = None if phase is None else phase.outputs
    if phase is None or asked is None:
        names, results = [port.name for port in options.outputs], model(*inputs)
    else:
        names, results = list(asked), getattr(model, f"forward_{phase.name}")(*inputs)
    outputs = results if isinstance(results, tuple) else (results,)
    values.update({f"output.{name}": tensor for name, tensor in zip(names, outputs, strict=True)})
    return values


def model_loss(model: nn.Module, options: Settings, batch: Mapping[str, Tensor]) -> Tensor:
    """The loss of a batch, by a model that computes it (`Measure.in_model`)."""
    inputs, values = _given(options, batch)
    return model(*inputs, **{name: values[source] for name, source in options.loss.in_model.items()})


def _given(options: Settings, batch: Mapping[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The inputs of the model in its order, and all that is known before it runs, by source."""
    inputs = [_typed(batch[options.bind[port.name]], port) for port in options.inputs]
    values = {f"data.{name}": tensor for name, tensor in batch.items()}
    values.update({f"input.{port.name}": tensor for port, tensor in zip(options.inputs, inputs, strict=True)})
    return inputs, values


def take(measure: Measure | SetMetrics, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a loss or of metrics; 16-bit outputs come as fp32, but for what is taken in its own dtype. The
    model and what a loss keeps come as they are."""
    own = measure.own_dtype if isinstance(measure, Measure) else ()
    return {
        argument: values[source] if source in own else _full(values[source])
        for argument, source in measure.arguments.items()
    }


def counted(measure: Measure, batch: Mapping[str, Tensor]) -> float:
    """Over how many entries of a batch (on the CPU) the measure is a mean: what the batch weighs in a larger mean.

    Targets that are ignored do not count, and others as much as their classes. Without targets of the kind that can be
    ignored, examples are counted: every one has as many entries as any other.
    """
    if measure.per_example:
        return len(next(iter(batch.values())))
    targets = _targets(measure, batch)
    if targets is None:
        return len(next(iter(batch.values())))
    if targets.is_floating_point():
        return len(targets)  # the probabilities of classes, a row of them for each example
    counts = targets != IGNORED
    if measure.ignore is not None:
        counts &= targets != measure.ignore
    if not measure.class_weights:
        return int(counts.sum())
    return float(torch.tensor(measure.class_weights, dtype=torch.float64)[targets[counts]].sum())


def tried(hits: Hits, batch: Mapping[str, Tensor], values: Mapping[str, Any]) -> int:
    """How many entries of a batch (on the CPU) may be hits, and all that is known of it on the device."""
    if hits.targets is None:
        return values[str(hits.scores)].numel()
    targets = batch[hits.targets]
    counts = targets != IGNORED
    if hits.ignore is not None:
        counts &= targets != hits.ignore
    return int(counts.sum())


def _targets(measure: Measure, batch: Mapping[str, Tensor]) -> Tensor | None:
    named = measure.targets or (measure.classes.field if measure.classes is not None else None)
    if named is not None:
        return batch[named]
    fields = [source.removeprefix("data.") for source in measure.arguments.values() if source.startswith("data.")]
    whole = [batch[field] for field in fields if not batch[field].is_floating_point()]
    return whole[0] if len(whole) == 1 else None


def _typed(tensor: Tensor, port: Port) -> Tensor:
    """Whole numbers of a table are floats where the model takes such; of other data that was refused."""
    return tensor.float() if port.dtype == "float" and not tensor.is_floating_point() else tensor


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() and value.itemsize < 4 else value
