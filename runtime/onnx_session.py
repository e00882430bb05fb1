"""An exported model under ONNX Runtime, without torch: the file alone is enough."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .errors import Refused
from .given_file import require_file
from .metadata import Metadata, read_metadata
from .session import Arrays, Session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxSession(Session):
    """A model.onnx that is open."""

    def __init__(self, metadata: Metadata, session: InferenceSession) -> None:
        super().__init__(metadata)
        self._session = session
        self._outputs = [port.name for port in metadata.outputs]

    def run(self, feeds: Mapping[str, NDArray]) -> Arrays:
        results: list[Any] = list(self._session.run(self._outputs, dict(feeds)))
        return dict(zip(self._outputs, results, strict=True))


def open_onnx(path: Path) -> OnnxSession:
    """The model in a file that `dlspec export` wrote. Raises Refused with the reason where it cannot be run."""
    require_file(path)
    session = inference_session(path)
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map, path.name)
    declared = {port.name for port in (*metadata.inputs, *metadata.outputs)}
    actual = {port.name for port in (*session.get_inputs(), *session.get_outputs())}
    if declared != actual:
        raise Refused(
            f"{path.name} was changed after it was exported: it says it has {', '.join(sorted(declared))}, "
            f"and has {', '.join(sorted(actual))}"
        )
    return OnnxSession(metadata, session)


def inference_session(path: Path) -> InferenceSession:
    """The file under ONNX Runtime, on a GPU where its build has one. Raises Refused."""
    try:
        import onnxruntime
    except ImportError:
        raise Refused(
            "running a model.onnx needs ONNX Runtime, which is not installed",
            "pip install dlspec[cpu], or dlspec[gpu] for NVIDIA GPUs",
        ) from None

    known = set(onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what is wrong is raised as well: once is enough
    try:
        return onnxruntime.InferenceSession(path, options, providers=[name for name in PROVIDERS if name in known])
    except Exception as error:  # the library's own classes are not public, and share only this base
        raise Refused(f"{path.name} is no model that ONNX Runtime {onnxruntime.__version__} can run: {error}") from None
