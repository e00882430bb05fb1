"""The text of what a model calls of a norm: a function, and the class of its module."""

from __future__ import annotations

from .norm_features import NormFeatures
from .norm_names import NormNames


class NormModule(NormNames):
    def entry(self) -> list[str]:
        add = self.features.add
        given = self.tensors_text([*self.incoming, *self.learned])
        names = ", ".join([*self.incoming, *self.learned, *self.numbers, *self.seed, "dtype"])
        width = self.features.width
        missing = " and branch is not None" if self.features.optional else ""
        seed = [
            "    seed = None",
            f"    if drop > 0{missing}:",
            "        seed = torch.randint(2**62, (1,), device=x.device)",
        ]
        kind = "tuple[Tensor, Tensor]" if add else "Tensor"
        shape = f"{', '.join(self.incoming)} -> {', '.join(self.results)}, all [..., width]"
        return [
            f"def {self.name}({given}, {self.numbers_text()}) -> {kind}:",
            f'    """{title(self.features)}, fused where there is a GPU and rows are {width} wide.',
            "",
            *([f"    {shape}; total = x + branch is what is normed."] if add else [f"    {shape}"]),
            '    """',
            f"    fits = {self._fits()}",
            "    if not (fits and fused(x)):",
            *(f"        {line}" for line in self._plain()),
            *self._dtype(),
            *(seed if self.features.dropout else []),
            *(
                [
                    f"    total, y = Norm.apply({names})",
                    "    return x if branch is None else total, y",
                ]
                if self.features.optional
                else [f"    return Norm.apply({names})"]
            ),
        ]

    def _fits(self) -> str:
        """Whether what comes is of the sizes that the kernels were written for. Others PyTorch may broadcast."""
        found = [f"x.shape[-1] == len(weight) == {self.features.width}"]
        if self.features.add:
            same = "branch.shape == x.shape"
            found.append(f"(branch is None or {same})" if self.features.optional else same)
        if self.features.bias:
            found.append("bias is not None")
        return " and ".join(found)

    def _dtype(self) -> list[str]:
        """Of what is normed."""
        if not self.features.narrow:
            return ["    dtype = torch.float32 if torch.is_autocast_enabled(x.device.type) else x.dtype"]
        return [
            "    dtype = x.dtype",
            "    if torch.is_autocast_enabled(x.device.type):",
            "        # As the products round it that it goes into.",
            "        dtype = torch.get_autocast_dtype(x.device.type)",
        ]

    def _plain(self) -> list[str]:
        x = "total" if self.features.add else "x"
        gain = "weight + offset" if self.features.offset else "weight"
        normed = (
            f"F.layer_norm({x}, weight.shape, weight, {'bias' if self.features.bias else 'None'}, eps)"
            if self.features.layer
            else f"F.rms_norm({x}, weight.shape, {gain}, eps)"
        )
        if self.features.add:
            missing = " and branch is not None" if self.features.optional else ""
            drop = [f"if drop > 0{missing}:", "    branch = F.dropout(branch, drop)"]
            added = "x if branch is None else x + branch" if self.features.optional else "x + branch"
            return [*(drop if self.features.dropout else []), f"total = {added}", f"return total, {normed}"]
        return [f"return {normed}"]

    def module(self) -> list[str]:
        features = self.features
        incoming = self.tensors_text(self.incoming)
        kind = "tuple[Tensor, Tensor]" if features.add else "Tensor"
        own = {name: f"self.{name}" for name in [*self.learned, *self.numbers]} | {"drop": "drop"}
        names = ", ".join([*self.incoming, *(own[name] for name in [*self.learned, *self.numbers])])
        word = "LayerNorm" if features.layer else "RMSNorm"
        what = f"{title(features)}: [..., {features.width}] -> [..., {features.width}]"
        if features.add:
            what = f"x + branch, and its {what}"
        reset = [
            "",
            "    def reset_parameters(self) -> None:",
            "        nn.init.constant_(self.weight, 1.0 - self.offset)",
        ]
        return [
            f"class {features.entry}({'nn.Module' if features.offset else f'nn.{word}'}):",
            f'    """{what}"""',
            "",
            *self._constructor(),
            f"    def forward(self, {incoming}) -> {kind}:",
            *(["        drop = self.drop if self.training else 0.0"] if features.dropout else []),
            f"        return {self.name}({names})",
            *(reset if features.offset else []),
        ]

    def _constructor(self) -> list[str]:
        """Nothing where PyTorch's own does."""
        features = self.features
        drop = ", *, drop: float" if features.dropout else ""
        kept = ["        self.drop = drop"] if features.dropout else []
        if features.offset:
            return [
                f"    def __init__(self, dim: int, eps: float, offset: float{drop}) -> None:",
                "        super().__init__()",
                "        self.eps = eps",
                "        self.offset = offset",
                *kept,
                "        self.weight = nn.Parameter(torch.empty(dim))",
                "        self.reset_parameters()",
                "",
            ]
        if not features.dropout:
            return []
        options, given = ("eps: float", "eps=eps")
        if features.layer:
            options, given = ("eps: float = 1e-5, bias: bool = True", "eps=eps, bias=bias")
        return [
            f"    def __init__(self, dim: int, {options}{drop}) -> None:",
            f"        super().__init__(dim, {given})",
            *kept,
            "",
        ]


def title(features: NormFeatures) -> str:
    word = "LayerNorm (Ba et al. 2016)" if features.layer else "RMSNorm (Zhang and Sennrich 2019)"
    return f"{word} with a gain of weight + offset" if features.offset else word
