"""weights: those of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import ClassVar

from ..base import OptionFault
from ..renaming import Renaming
from ..start import Into, Skipped, Start
from ..values import File

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERTED = (
    "python -c \"import torch; from safetensors.torch import save_file; weights = torch.load('{file}', "
    "weights_only=True); save_file({{name: w.clone().contiguous() for name, w in weights.items()}}, '{new}')\""
)


class Weights(Start):
    """`start = weights("model.safetensors", map = ["h.*.ln_1" -> "blocks.*.attn_norm"], skip = [head])`: the weights
    of a file, by their names.

    `file` is a safetensors file, the `.index.json` of one in parts, or a folder with either. `map` names what is called
    otherwise in the file, and may be a constant: a name stands for all that begins with it, a `*` for the same on both
    sides, and the longest match wins. `-> transpose ->` turns matrices that lie in the file as [in, out];
    `-> reshape ->` gives the same numbers the model's shape; a list on one side is of matrices whose rows lie one below
    the other: `"h.*.attn.c_attn" -> transpose -> ["blocks.*.attn.q", "blocks.*.attn.k", "blocks.*.attn.v"]`. `skip` are
    modules that keep the weights they are drawn with, and patterns of what is not taken from the file. `into` is the
    module that the file is for, where the model has more: names in `map` and `skip` are then those inside it, and all
    else is drawn. What of the file is not used, or of the model not found, is an error.
    """

    word: ClassVar[str] = "weights"
    example: ClassVar[str] = 'weights("model.safetensors")'
    source: ClassVar[str] = "file"

    file: File
    map: Renaming = ()
    skip: Skipped = ()
    into: Into = None

    def faults(self) -> Iterator[OptionFault]:
        path = PurePath(self.file)
        if path.suffix in PICKLES:
            convert = CONVERTED.format(file=path.name, new=path.with_suffix(".safetensors").name)
            yield OptionFault(
                "wrong-value",
                f"`{path.name}` is a pickle, which may run any code when it is read: `weights` takes safetensors",
                "file",
                f"`{path.suffix}` is not read",
                f"convert it where you trust it:\n{convert}",
            )
