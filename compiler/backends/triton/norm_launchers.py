"""The text of what starts a norm's kernels, and the tables of their tiles."""

from __future__ import annotations

from collections.abc import Mapping

from .norm_configuration import MEANS, PARTS
from .norm_names import SEEDED, NormNames, many


class NormLaunchers(NormNames):
    def tables(self) -> list[str]:
        alone = self.features.wide_forward  # rows are taken one by one
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

    def launch_forward(self) -> list[str]:
        # In the kernels x is what is added to a residual.
        optional = self.features.optional
        added = {"x": "x if branch is None else branch" if optional else "branch", "residual": "x"}
        if optional:
            added["ADD"] = "branch is not None"
        names = added if self.features.add else {}
        given = {**names, **SEEDED, "ROWS": "rows", "BLOCK": "block"}
        wide, kernel = self.features.wide_forward, self.features.forward
        grid = "M" if wide else "triton.cdiv(M, rows)"
        kind = self.tensors_text([*self.incoming, *self.learned])
        kept = [*self.results, *self.of_rows]
        total = [f"    total = {self.total_text()}"] if self.features.add else []
        branch = ["    x, branch = x.contiguous(), branch.contiguous()"] if self.features.add else []
        if optional:
            branch = ["    x = x.contiguous()", "    branch = None if branch is None else branch.contiguous()"]
        return [
            f"def launch_norm_forward({kind}, {self.numbers_text()}{self.seed_text()}, dtype: torch.dtype)"
            f" -> tuple[{many(len(kept))}]:",
            *(branch or ["    x = x.contiguous()"]),
            "    M = x.numel() // weight.numel()",
            *total,
            "    y = torch.empty(x.shape, dtype=dtype, device=x.device)",
            *(f"    {name} = torch.empty(M, dtype=torch.float32, device=x.device)" for name in self.of_rows),
            f"    {'' if wide else 'rows, '}block, warps = NORM_FORWARD[x.element_size()]",
            "    with torch.cuda.device_of(x):",
            f"        {kernel}[({grid},)]({self._arguments(kernel, given)}, num_warps=warps)",
            f"    return {', '.join(kept)}",
        ]

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
            **SEEDED,
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
        arguments = f"{stream}{self.tensors_text([*incoming, 'weight', *self.of_rows])}{self.more_text()}"
        return [
            f"def launch_norm_backward({arguments}) -> tuple[{many(len(gradients))}]:",
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

    def _arguments(self, kernel: str, given: Mapping[str, str]) -> str:
        """What a launch passes, in the order of the kernel's parameters: what is `given`, else its own name."""
        found = []
        for name in self.kernels.parameters[kernel]:
            value = given.get(name, name)
            found.append(f"{name}={value}" if name.isupper() and len(name) > 1 else value)
        return ", ".join(found)

    def _open_ways(self) -> list[str]:
        return [name for name in ("again", "wide") if name.upper() in self.kernels.parameters["norm_backward"]]

    def _ways(self, tiles: object) -> list[bool]:
        return [getattr(tiles, name) for name in self._open_ways()]
