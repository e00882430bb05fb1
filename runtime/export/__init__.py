"""Files that leave the house: TorchScript, and the proof that every exported file does what the trained model does."""

from .onnx_check import check_onnx
from .proof import Proof, initial_looking, perturbed, prove
from .report import write_report
from .staging import staged
from .torch_onnx import trace_onnx
from .torchscript import open_torchscript, write_torchscript

__all__ = [
    "Proof",
    "check_onnx",
    "initial_looking",
    "open_torchscript",
    "perturbed",
    "prove",
    "staged",
    "trace_onnx",
    "write_report",
    "write_torchscript",
]
