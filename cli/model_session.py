"""A model to ask: a run directory under PyTorch, or an exported file under ONNX Runtime alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import Refused
from .command_line import refuse_set
from .console import Console
from .run_arguments import add_trust_argument, open_told

if TYPE_CHECKING:
    from ..runtime.session import Session


def add_model_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN|MODEL.onnx", type=Path, help="a run directory, or an exported file")
    add_trust_argument(parser)
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="of a run: the checkpoint of this step")
    parser.add_argument("--device", default="auto", metavar="NAME", help="of a run: auto, cpu or cuda")


def open_session(options: Namespace, console: Console) -> Session:
    """The model that the options name. Raises Refused."""
    refuse_set(options, "a model is used as it was trained")
    path: Path = options.model
    if path.suffix == ".onnx":
        from ..runtime.onnx_session import open_onnx

        return open_onnx(path)
    if path.is_file():
        help = "Give the run that it was exported from; an application loads it with torch.jit.load."
        raise Refused(
            f"{path} is neither a run directory nor an .onnx file", help if path.suffix in (".pt", ".ts") else ""
        )
    trained = open_told(path, options, console)
    from ..api.trained import metadata_of
    from ..runtime import load_model
    from ..runtime.torch_session import TorchSession

    model = load_model(
        trained.program,
        path,
        options.checkpoint,
        device=options.device,
        trust_code=options.trust_run_code,
    )
    return TorchSession(metadata_of(trained), model)
