"""The text of what calls a norm's kernels: launchers, operators, the function, and the module's class."""

from __future__ import annotations

from ..pytorch.layout import fit
from .norm_features import NormFeatures
from .norm_launchers import NormLaunchers
from .norm_module import NormModule
from .norm_operators import NormOperators
from .numbering import with_numbers
from .specialise import Specialised

_OWN_NAMES = (
    *("NORM_FORWARD", "NORM_BACKWARD", "launch_norm_forward", "launch_norm_backward"),
    *("norm_forward_shapes", "norm_backward_shapes", "norm_forward", "norm_backward", "Norm", "norm", "norm_plain"),
    *("LayerNorm", "RMSNorm", "AddLayerNorm", "AddRMSNorm"),
    *("layer_norm", "rms_norm", "add_layer_norm", "add_rms_norm"),
)
"""What is defined beside the kernels, and the operators."""


def calling_lines(features: NormFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    launchers, operators = NormLaunchers(features, kernels), NormOperators(features, kernels)
    model = NormModule(features, kernels)
    lines = [
        *launchers.tables(),
        *("", "", *launchers.launch_forward()),
        *("", "", *launchers.launch_backward()),
        *("", "", *operators.operators()),
        *("", "", *operators.function()),
        *("", "", *model.entry()),
        *("", "", *model.module()),
    ]
    names = {*kernels.parameters, *_OWN_NAMES}

    def named(line: str) -> str:
        # A docstring speaks of norms as such.
        if line.lstrip().startswith('"""'):
            return line
        return with_numbers(line, names, number)

    return [part for line in lines for part in fit(named(line))]
