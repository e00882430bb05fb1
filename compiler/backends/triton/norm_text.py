"""The text of what calls a norm's kernels: launchers, operators, the function, and the module's class."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..pytorch.layout import fit
from .norm_configuration import MEANS, PARTS
from .norm_features import NormFeatures
from .specialise import Specialised, numbered

_OWN_NAMES = (
    *("NORM_FORWARD", "NORM_BACKWARD", "launch_norm_forward", "launch_norm_backward"),
    *("norm_forward_shapes", "norm_backward_shapes", "norm_forward", "norm_backward", "Norm", "norm", "norm_plain"),
    *("LayerNorm", "RMSNorm", "AddLayerNorm", "AddRMSNorm"),
    *("layer_norm", "rms_norm", "add_layer_norm", "add_rms_norm"),
)
"""What is defined beside the kernels, and the operators."""
_SEEDED = {"seeds": "seed", "DROPOUT": "seed is not None"}


def calling_lines(features: NormFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    text = _Text(features, kernels)
    lines = [
        *text.tables(),
        *("", "", *text.launch_forward()),
        *("", "", *text.launch_backward()),
        *("", "", *text.operators()),
        *("", "", *text.function()),
        *("", "", *text.entry()),
        *("", "", *text.module()),
    ]
    names = {*kernels.parameters, *_OWN_NAMES}
    # What PyTorch calls so is its own.
    pattern = re.compile(rf"(?<![.\w])(operators\.)?({'|'.join(sorted(names, key=len, reverse=True))})\b")

    def named(line: str) -> str:
        # A docstring speaks of norms as such.
        if line.lstrip().startswith('"""'):
            return line
        return pattern.sub(lambda found: (found[1] or "") + numbered(found[2], number), line)

    return [part for line in lines for part in fit(named(line))]


class _Text:
    def __init__(self, features: NormFeatures, kernels: Specialised) -> None:
        self.features, self.kernels = features, kernels
        self.name = ("add_" if features.add else "") + ("layer_norm" if features.layer else "rms_norm")
        self.learned = ["weight", *(["bias"] if features.bias else [])]
        self.incoming = ["x", *(["branch"] if features.add else [])]
        self.numbers = [
            "eps",
            *(["offset"] if features.offset else []),
            *(["drop"] if features.dropout else []),
        ]
        self.seed = ["seed"] if features.dropout else []
        self.of_rows = [*(["mean"] if features.layer else []), "rstd"]
        """What backward needs of each row."""
        self.results = ["total", "y"] if features.add else ["y"]

    # --- pieces ---

    def _tensors(self, names: list[str]) -> str:
        missing = {"branch"} if self.features.optional else set()
        return ", ".join(f"{name}: Tensor{' | None' if name in missing else ''}" for name in names)

    def _numbers(self) -> str:
        return ", ".join(f"{name}: float" for name in self.numbers)

    def _seed(self) -> str:
        return ", seed: Tensor | None" if self.seed else ""

    def _arguments(self, kernel: str, given: Mapping[str, str]) -> str:
        """What a launch passes, in the order of the kernel's parameters: what is `given`, else its own name."""
        found = []
        for name in self.kernels.parameters[kernel]:
            value = given.get(name, name)
            found.append(f"{name}={value}" if name.isupper() and len(name) > 1 else value)
        return ", ".join(found)

    def tables(self) -> list[str]:
        alone = self.features.wide_forward() == {True}  # rows are taken one by one
        forward = {
            entry: (t.block, t.warps) if alone else (t.rows, t.block, t.warps)
            for entry, t in self.features.forward_tiles().items()
        }
        backward = {
            generation: {
                entry: (t.rows, t.block, t.warps, t.stages, t.programs, *self._ways(t)) for entry, t in of.items()
            }
            for generation, of in self.features.backward_tiles().items()
        }
        ways = ", ".join(["rows, columns, warps, stages, programs for each multiprocessor", *self._open_ways()])
        return [
            f"# By the bytes of a number: {'columns' if alone else 'rows and columns'} of a tile, warps.",
            f"NORM_FORWARD = {forward}",
            f"# By generation, too: {ways}.",
            "NORM_BACKWARD = {",
            *(f"    {generation}: {table}," for generation, table in backward.items()),
            "}",
        ]

    def _open_ways(self) -> list[str]:
        return [name for name in ("again", "wide") if name.upper() in self.kernels.parameters["norm_backward"]]

    def _ways(self, tiles: object) -> list[bool]:
        return [getattr(tiles, name) for name in self._open_ways()]

    # --- launchers ---

    def launch_forward(self) -> list[str]:
        # In the kernels x is what is added to a residual.
        optional = self.features.optional
        added = {"x": "x if branch is None else branch" if optional else "branch", "residual": "x"}
        if optional:
            added["ADD"] = "branch is not None"
        names = added if self.features.add else {}
        given = {**names, **_SEEDED, "ROWS": "rows", "BLOCK": "block"}
        wide = sorted(self.features.wide_forward())
        launches = {
            False: f"norm_forward[(triton.cdiv(M, rows),)]({self._launch('norm_forward', given)})"
            if False in wide
            else "",
            True: f"norm_forward_wide[(M,)]({self._launch('norm_forward_wide', given)})" if True in wide else "",
        }
        both = [
            "        if rows * block < weight.numel():",
            f"            {launches[True]}",
            "        else:",
            f"            {launches[False]}",
        ]
        kind = self._tensors([*self.incoming, *self.learned])
        kept = [*self.results, *self.of_rows]
        total = [f"    total = {self._total()}"] if self.features.add else []
        branch = ["    x, branch = x.contiguous(), branch.contiguous()"] if self.features.add else []
        if optional:
            branch = ["    x = x.contiguous()", "    branch = None if branch is None else branch.contiguous()"]
        return [
            f"def launch_norm_forward({kind}, {self._numbers()}{self._seed()}, dtype: torch.dtype)"
            f" -> tuple[{_many(len(kept))}]:",
            *(branch or ["    x = x.contiguous()"]),
            "    M = x.numel() // weight.numel()",
            *total,
            "    y = torch.empty(x.shape, dtype=dtype, device=x.device)",
            *(f"    {name} = torch.empty(M, dtype=torch.float32, device=x.device)" for name in self.of_rows),
            f"    {'' if False not in wide else 'rows, '}block, warps = NORM_FORWARD[x.element_size()]",
            "    with torch.cuda.device_of(x):",
            *(both if len(wide) == 2 else [f"        {launches[wide[0]]}"]),
            f"    return {', '.join(kept)}",
        ]

    def _total(self) -> str:
        """Room for the sum: none where nothing is added."""
        if self.features.optional:
            return "room_for_sum(x, branch)"
        return "x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, branch.dtype))"

    def _launch(self, kernel: str, given: Mapping[str, str]) -> str:
        return f"{self._arguments(kernel, given)}, num_warps=warps"

    def launch_backward(self) -> list[str]:
        features = self.features
        parts = ["parts[0]", *(["parts[1]"] if features.bias else [])]
        given = {
            "d_weight": parts[0],
            "d_bias": parts[-1],
            "ROWS": "rows",
            "BLOCK": "block",
            "STAGES": "stages",
            "AGAIN": "again",
            "WIDE": "wide",
            "BRANCH": "narrower",
            "STREAM": "d_total is not None",
            **_SEEDED,
        }
        incoming = ["d_y", "total"] if features.add else ["d_y", "x"]
        if features.add:
            given |= {"x": "total"}
        gradients = [*(["d_x", "d_branch"] if features.add else ["d_x"]), "d_learned"]
        x = incoming[-1]
        ways = "".join(f", {name}" for name in self._open_ways())
        wide = any(tiles.wide for tiles in features.every_backward())
        columns, warps = MEANS
        sums = {"out": "d_learned", "P": "groups", "ROWS": str(PARTS[0]), "BLOCK": str(PARTS[1])}
        if not wide:
            level: list[str] = []
        else:
            level = [
                *(["        level = torch.empty_like(rstd)"] if features.layer else []),
                "        along = torch.empty_like(rstd)",
            ]
            means = self._arguments("norm_backward_rows", given | {"BLOCK": str(columns)})
            call = f"norm_backward_rows[(M,)]({means}, num_warps={warps})"
            level += ["        if wide:", f"            {call}"] if "wide" in self._open_ways() else [f"        {call}"]
        branch = [
            "    d_total = None if d_total is None else d_total.contiguous()",
            f"    narrower = branch_dtype != total.dtype{' or seed is not None' if features.dropout else ''}",
            "    # Else it is that of the sum, too.",
            "    size = total.shape if narrower else (0,)",
            "    d_branch = torch.empty(size, dtype=branch_dtype, device=total.device)",
        ]
        stream = "d_total: Tensor | None, " if features.add else ""
        arguments = f"{stream}{self._tensors([*incoming, 'weight', *self.of_rows])}{self._more()}"
        return [
            f"def launch_norm_backward({arguments}) -> tuple[{_many(len(gradients))}]:",
            f"    {', '.join(incoming)} = {', '.join(f'{name}.contiguous()' for name in incoming)}",
            "    width = weight.numel()",
            "    M = rstd.numel()",
            f"    d_x = torch.empty_like({x})",
            *(branch if features.add else []),
            f"    rows, block, warps, stages, programs{ways} = NORM_BACKWARD[generation({x})][{x}.element_size()]",
            "    blocks = triton.cdiv(width, block)",
            f"    groups, per = groups_of_rows(M, programs, blocks, {x})",
            f"    parts = torch.empty(({len(parts)}, groups, width), dtype=torch.float32, device={x}.device)",
            f"    d_learned = torch.empty(({len(parts)}, width), dtype=weight.dtype, device={x}.device)",
            f"    with torch.cuda.device_of({x}):",
            *level,
            f"        norm_backward[(groups, blocks)]({self._arguments('norm_backward', given)}, num_warps=warps)",
            f"        norm_sum_parts[(triton.cdiv(width, {PARTS[1]}), {len(parts)})]"
            f"({self._arguments('norm_sum_parts', sums)})",
            f"    return {', '.join(gradients)}",
        ]

    def _more(self) -> str:
        """What else backward takes."""
        offset = ", offset: float" if self.features.offset else ""
        drop = f", drop: float{self._seed()}" if self.features.dropout else ""
        return f"{offset}{drop}, branch_dtype: torch.dtype" if self.features.add else offset

    # --- operators ---

    def operators(self) -> list[str]:
        features = self.features
        kept = [*self.results, *self.of_rows]
        forward = ", ".join(
            [
                *(
                    f"Tensor{'?' if features.optional and name == 'branch' else ''} {name}"
                    for name in [*self.incoming, *self.learned]
                ),
                *(f"float {n}" for n in self.numbers),
                *(f"Tensor? {n}" for n in self.seed),
                "ScalarType dtype",
            ]
        )
        incoming = ["d_total", "d_y", "total"] if features.add else ["d_y", "x"]
        names = [*incoming, "weight", *self.of_rows]
        backward = ", ".join(
            [
                *(f"Tensor{'?' if name == 'd_total' else ''} {name}" for name in names),
                *(["float offset"] if features.offset else []),
                *(["float drop", "Tensor? seed"] if features.dropout else []),
                *(["ScalarType branch_dtype"] if features.add else []),
            ]
        )
        more = [
            *(["offset"] if features.offset else []),
            *(["drop", "seed"] if features.dropout else []),
            *(["branch_dtype"] if features.add else []),
        ]
        gradients = len(self.incoming) + 1
        x = incoming[-1]
        shapes = {
            "total": self._total(),
            "y": "x.new_empty(x.shape, dtype=dtype)",
            "mean": "x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)",
            "rstd": "x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)",
        }
        branch = [
            f"    size = (0,) if {self._alike()} else total.shape",
            "    d_branch = total.new_empty(size, dtype=branch_dtype)",
        ]
        given = ", ".join([*self.incoming, *self.learned, *self.numbers, *self.seed, "dtype"])
        return [
            f"def norm_forward_shapes({given}):",
            *(f"    {name} = {shapes[name]}" for name in kept),
            f"    return {', '.join(kept)}",
            "",
            "",
            f"def norm_backward_shapes({', '.join([*names, *more])}):",
            f"    d_x = {x}.new_empty({x}.shape)",
            *(branch if features.add else []),
            f"    d_learned = weight.new_empty(({len(self.learned)}, weight.numel()))",
            f"    return d_x, {'d_branch, ' if features.add else ''}d_learned",
            "",
            "",
            "operator(",
            f'    "norm_forward({forward}) -> ({", ".join(["Tensor"] * len(kept))})",',
            "    launch_norm_forward,",
            "    norm_forward_shapes,",
            ")",
            "operator(",
            f'    "norm_backward({backward}) -> ({", ".join(["Tensor"] * gradients)})",',
            "    launch_norm_backward,",
            "    norm_backward_shapes,",
            ")",
        ]

    def _alike(self, owner: str = "") -> str:
        """Whether the gradient of the branch is that of the sum."""
        seed = " and seed is None" if self.features.dropout else ""
        return f"{owner}branch_dtype == total.dtype{seed}"

    # --- what a model calls ---

    def function(self) -> list[str]:
        features = self.features
        given = [*self.incoming, *self.learned, *self.numbers, *self.seed, "dtype"]
        kept = [*self.results, *self.of_rows]
        normed = "total" if features.add else "x"
        saved = [normed, "weight", *self.of_rows, *self.seed]
        kept_as = ["x if branch is None else total" if features.optional else normed, *saved[1:]]
        gradients = [f"d_{name}" for name in [*self.incoming, "learned"]]
        alike = [f"        if {self._alike('ctx.')}:", "            d_branch = d_x"] if features.add else []
        if features.optional:
            alike += ["        if not ctx.added:", "            d_branch = None"]
        learned = [f"d_{name}" for name in self.learned]
        parts = f"        {', '.join(learned) if features.bias else '(d_weight,)'} = d_learned.unbind()"
        results = [*gradients[:-1], *learned]
        changes = ["d_total", "d_y"] if features.add else ["d_y"]
        passed = [*changes, *saved[: len(saved) - len(self.seed)]]
        more = [
            *(["ctx.offset"] if features.offset else []),
            *(["ctx.drop", "seed"] if features.dropout else []),
            *(["ctx.branch_dtype"] if features.add else []),
        ]
        none = ["None"] * (len(self.numbers) + len(self.seed) + 1)
        added = [
            f"        ctx.branch_dtype = {'x.dtype if branch is None else ' if features.optional else ''}branch.dtype",
            *(["        ctx.added = branch is not None"] if features.optional else []),
            "        # The sum may go nowhere else: then it has no gradient.",
            "        ctx.set_materialize_grads(False)",
        ]
        result = ", ".join(self.results)
        return [
            "class Norm(torch.autograd.Function):",
            "    @staticmethod",
            f"    def forward(ctx, {', '.join(given)}):",
            f"        {', '.join(kept)} = operators.norm_forward({', '.join(given)})",
            f"        ctx.save_for_backward({', '.join(kept_as)})",
            *(["        ctx.offset = offset"] if features.offset else []),
            *(["        ctx.drop = drop"] if features.dropout else []),
            *(added if features.add else []),
            f"        return {result}",
            "",
            "    @staticmethod",
            "    @once_differentiable",
            f"    def backward(ctx, {', '.join(changes)}):",
            f"        {', '.join(saved)} = ctx.saved_tensors",
            *(["        d_y = torch.zeros_like(total) if d_y is None else d_y"] if features.add else []),
            *(["        d_total = d_total if ctx.added else None"] if features.optional else []),
            f"        {', '.join(gradients)} = operators.norm_backward({', '.join([*passed, *more])})",
            *alike,
            parts,
            f"        return {', '.join([*results, *none])}",
        ]

    def entry(self) -> list[str]:
        add = self.features.add
        given = self._tensors([*self.incoming, *self.learned])
        names = ", ".join([*self.incoming, *self.learned, *self.numbers, *self.seed, "dtype"])
        width = self.features.width
        missing = " and branch is not None" if self.features.optional else ""
        seed = [
            "    seed = None",
            f"    if drop > 0{missing}:",
            "        seed = torch.randint(2**62, (1,), device=x.device)",
        ]
        kind = "tuple[Tensor, Tensor]" if add else "Tensor"
        shape = f"{', '.join(self.incoming)} [..., {width}] -> {', '.join(self.results)} [..., {width}]"
        return [
            f"def {self.name}({given}, {self._numbers()}) -> {kind}:",
            f'    """{_title(self.features)}, fused where there is a GPU.',
            "",
            *([f"    {shape}; total = x + branch is what is normed."] if add else [f"    {shape}"]),
            '    """',
            "    if not fused(x, torch.float16, torch.bfloat16, torch.float32):",
            *(f"        {line}" for line in self._plain()),
            "    dtype = torch.float32 if torch.is_autocast_enabled(x.device.type) else x.dtype",
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
        incoming = self._tensors(self.incoming)
        kind = "tuple[Tensor, Tensor]" if features.add else "Tensor"
        own = {name: f"self.{name}" for name in [*self.learned, *self.numbers]} | {"drop": "drop"}
        names = ", ".join([*self.incoming, *(own[name] for name in [*self.learned, *self.numbers])])
        word = "LayerNorm" if features.layer else "RMSNorm"
        what = f"{_title(features)}: [..., {features.width}] -> [..., {features.width}]"
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


def _title(features: NormFeatures) -> str:
    word = "LayerNorm (Ba et al. 2016)" if features.layer else "RMSNorm (Zhang and Sennrich 2019)"
    return f"{word} with a gain of weight + offset" if features.offset else word


def _many(count: int) -> str:
    return ", ".join(["Tensor"] * count)
