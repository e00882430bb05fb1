"""Writing exported files, checking and proving each before any of them stands where it was asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from .. import __version__
from ..runtime.errors import Refused
from .compilation import LATER
from .inner_models import inner_models, open_inner
from .input_ranges import input_ranges
from .trained import Trained, metadata_of

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray
    from torch import nn

    from ..compiler.backends.onnx.weights import WeightSource
    from ..compiler.pipeline import Analysis, Artefact
    from ..compiler.training.format import Format
    from ..runtime.checkpoint import Checkpoint
    from ..runtime.export.proof import Proof, Runner
    from ..runtime.metadata import Metadata

Weight = TypeVar("Weight")

SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt"}
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class File:
    """`outputs` are those that it holds; left out, it holds all of the model. `inner` names a model inside the trained
    one, where it is that which the file holds."""

    format: str
    name: str
    outputs: tuple[str, ...] | None = None
    inner: str | None = None


def chosen_files(trained: Trained, formats: list[str] | None) -> list[File]:
    """What is written of the models that have an export section, the trained one and those inside it, or of the trained
    one where none has: the formats asked for, else what the sections say, else all there are.

    Raises Refused where a section asks for what this version has not.
    """
    from ..compiler.pipeline import analyse

    record = trained.record
    analysis = analyse(record.source, record.overrides, allow_python=trained.allow_python)
    model = trained.program.options.model_class
    shipped = [name for name in _models(trained, analysis) if _ships(name, analysis)]
    files: list[File] = []
    for name in shipped or [model]:
        inner = None if name == model else name
        if formats is None and shipped:
            files += [_file(file, inner) for file in _section(name, analysis)]
            continue
        section = analysis.exports.get(name)
        named = {} if section is None else {type(file).word: _file(file, inner) for file in section.files}
        stem = trained.program.name if inner is None else inner.lower()
        files += [named.get(kind) or File(kind, f"{stem}{SUFFIXES[kind]}", inner=inner) for kind in formats or SUFFIXES]
    return files


def _models(trained: Trained, analysis: Analysis) -> list[str]:
    """The trained model, then those inside it."""
    graph = None if trained.artefact is None else trained.artefact.graph
    return [trained.program.options.model_class, *(inner_models(graph, analysis) if graph is not None else ())]


def _ships(model: str, analysis: Analysis) -> bool:
    return analysis.spec is not None and model in analysis.spec.scope.exports


def _section(model: str, analysis: Analysis) -> tuple[Format, ...]:
    assert analysis.spec is not None
    item, section = analysis.spec.scope.exports[model], analysis.exports.get(model)
    inside = (d for d in analysis.diagnostics if item.span.start <= d.span.start < item.span.end)
    later = [d.message for d in inside if d.code == LATER]
    if later or section is None:
        what = "\n".join(later) or "the export section of the spec cannot be used"
        raise Refused(what, f"`--to {','.join(SUFFIXES)}` writes plain files of these formats.")
    return section.files


def export_files(
    trained: Trained, files: list[File], target: Path, *, checkpoint: int | None, weights: str | None, proved: bool
) -> dict[str, Any]:
    """Write, check and prove; the report. Raises Refused, ProofFailed, DiskFull: then nothing was written."""
    from ..runtime import load_model
    from ..runtime.checkpoint import choose_checkpoint
    from ..runtime.export import staged, write_report

    artefact = trained.artefact
    if artefact is None:
        raise Refused("the code of this run is not what its spec gives, and only the spec can be exported")
    model = load_model(trained.program, trained.run.path, checkpoint, trust_code=trained.trusted)
    found = choose_checkpoint(trained.run.checkpoints, checkpoint)
    assert found is not None  # the model was loaded from it
    metadata = metadata_of(trained)
    proofs: dict[str, Proof] = {}
    facts: dict[str, Any] = {}
    with staged(target) as folder, ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dlspec-")))
        for file in files:
            writer = _open_writer(file, trained, artefact, metadata, model, found, weights)
            held = writer.write(folder / file.name)
            if file.format == "onnx":
                from ..runtime.export import check_onnx

                facts[file.name] = check_onnx(folder / file.name, held)
            if proved:
                proofs[file.name] = _prove(writer, folder / file.name, held, found.step, scratch)
                proofs[file.name].require(file.name)
        return write_report(
            folder,
            version=__version__,
            spec_sha256=metadata.spec_sha256,
            step=found.step,
            proofs=proofs,
            facts=facts,
        )


def _open_writer(
    file: File,
    trained: Trained,
    artefact: Artefact,
    metadata: Metadata,
    model: nn.Module,
    checkpoint: Checkpoint,
    weights: str | None,
) -> _Writer:
    """What writes a file, of the trained model or of one inside it."""
    kind = _writer(file.format, artefact)
    if file.inner is None:
        return kind(artefact, metadata, model, checkpoint, weights, file.outputs)
    from ..compiler.pipeline import analyse

    record = trained.record
    analysis = analyse(record.source, record.overrides, allow_python=trained.allow_python)
    inner = open_inner(file.inner, metadata, artefact.graph, analysis)
    place = f"{inner.path}."
    part = model.get_submodule(inner.path)
    return kind(inner.artefact, inner.metadata, part, checkpoint, weights, file.outputs, place)


@dataclass(frozen=True)
class _Writer:
    """Writes one format of a model, and runs what was written. `metadata` is that of the whole model; `place` begins
    its names in the checkpoint, where it stands inside the model that was trained."""

    artefact: Artefact
    metadata: Metadata
    model: nn.Module
    checkpoint: Checkpoint
    weights: str | None
    outputs: tuple[str, ...] | None
    place: str = ""

    def write(self, path: Path) -> Metadata:
        """Write it; what the file says about itself."""
        raise AssertionError

    def write_other(self, path: Path, other: nn.Module) -> Metadata:
        """Another model of the same kind."""
        raise AssertionError

    def open(self, path: Path) -> Runner:
        raise AssertionError


class _Onnx(_Writer):
    def write(self, path: Path) -> Metadata:
        from ..compiler.backends.onnx.weights import SafetensorsFile

        stored = self.checkpoint.path / WEIGHTS
        if self.weights == "reference":
            import shutil

            beside = path.with_name(WEIGHTS)
            if not beside.exists():
                shutil.copyfile(stored, beside)
            return self._save(path, self._own(SafetensorsFile(beside).by_reference()))
        return self._save(path, self._own(SafetensorsFile(stored)))

    def _own(self, stored: Mapping[str, Weight]) -> dict[str, Weight]:
        """Of the weights of a checkpoint those of this model, under their names in it."""
        return {n.removeprefix(self.place): weight for n, weight in stored.items() if n.startswith(self.place)}

    def write_other(self, path: Path, other: nn.Module) -> Metadata:
        from ..runtime.checkpoint import tensors_of

        return self._save(path, {name: tensor.detach().numpy() for name, tensor in tensors_of(other).items()})

    def open(self, path: Path) -> Runner:
        from ..runtime.onnx_session import open_onnx

        return open_onnx(path).run

    def _save(self, path: Path, weights: Mapping[str, NDArray[Any]] | Mapping[str, WeightSource]) -> Metadata:
        from ..compiler.backends.onnx.model import build
        from ..compiler.backends.onnx.weights import WeightFault
        from ..compiler.layers.base import NoOnnxForm

        try:
            return self._finish(build(self.artefact.graph, weights, outputs=self.outputs), path)
        except WeightFault as fault:
            raise Refused(str(fault)) from None
        except NoOnnxForm as missing:
            message = f"this version of dlspec has no ONNX form of {missing}"
            raise Refused(message, "`--to torchscript` leaves ONNX out.") from None

    def _finish(self, model: ir.Model, path: Path) -> Metadata:
        """Save a model of some outputs, with what it says about itself."""
        from ..compiler.backends.onnx.save import INLINE_LIMIT, save
        from ..runtime.metadata import write_metadata

        ports = (value.name for value in (*model.graph.inputs, *model.graph.outputs))
        held = self.metadata.of_ports({name for name in ports if name})
        model.metadata_props.clear()
        model.metadata_props.update(sorted(write_metadata(held).items()))
        save(model, path, inline_limit=_INLINE.get(self.weights or "", INLINE_LIMIT))
        return held


_INLINE = {"file": -1, "inline": 2**31 - 1}
"""Up to how many bytes weights lie in the file, where `--weights` says."""


class _TracedOnnx(_Onnx):
    """Of a model with layers written in Python, of which only PyTorch knows what they do."""

    def write(self, path: Path) -> Metadata:
        if self.weights == "reference":
            message = "PyTorch's exporter rewrites weights, so none can be left in the checkpoint"
            raise Refused(message, "`--weights file` lays them beside the model.")
        return self.write_other(path, self.model)

    def write_other(self, path: Path, other: nn.Module) -> Metadata:
        from ..compiler.backends.onnx.outputs import keep_outputs
        from ..runtime.export import trace_onnx

        model = trace_onnx(other, self.metadata, input_ranges(self.artefact.graph))
        if self.outputs is not None:
            keep_outputs(model, self.outputs)
        return self._finish(model, path)


class _TorchScript(_Writer):
    def write(self, path: Path) -> Metadata:
        return self.write_other(path, self.model)

    def write_other(self, path: Path, other: nn.Module) -> Metadata:
        from ..compiler.training.exports import lends
        from ..runtime.export import write_torchscript

        lent = lends(self.artefact.graph.model)
        if lent is not None:
            # A `forward` cannot be handed a module there, and as an attribute it would have a second key.
            message = f"TorchScript has no form of a module that another part of the model runs: `{lent}`"
            raise Refused(message, "`--to onnx` leaves TorchScript out.")
        name = f"{self.artefact.name}_export"
        write_torchscript(
            path, name, self.artefact.export_code, self.artefact.graph.model.name, other, self.artefact.beside
        )
        return self.metadata

    def open(self, path: Path) -> Runner:
        from ..runtime.export import open_torchscript

        return open_torchscript(path, self.metadata).run


_WRITERS: dict[str, type[_Writer]] = {"onnx": _Onnx, "torchscript": _TorchScript}


def _writer(format: str, artefact: Artefact) -> type[_Writer]:
    return _TracedOnnx if format == "onnx" and artefact.beside else _WRITERS[format]


def _prove(writer: _Writer, path: Path, held: Metadata, step: int, scratch: Path) -> Proof:
    from ..runtime.export import prove

    def shaken(other: nn.Module) -> Runner:
        copy = scratch / path.name
        writer.write_other(copy, other)
        return writer.open(copy)

    run: Callable[..., Any] = writer.open(path)
    ranges = input_ranges(writer.artefact.graph)
    return prove(run, writer.model, held, step=step, whole=writer.metadata, ranges=ranges, shaken=shaken)


def _file(format: Format, inner: str | None = None) -> File:
    """A line of an export section, of the trained model or of one inside it."""
    outputs = getattr(format, "outputs", None)
    kept = None if outputs is None else tuple(name for name, _ in outputs)
    return File(type(format).word, _file_name(format.path), kept, inner)


def _file_name(path: str) -> str:
    if PurePath(path).name != path:
        raise Refused(f'the export section names "{path}": the folder is what `-o` says', "Write the file's name only.")
    return path
