"""The text of a norm's operators, and of the function that has them differentiated."""

from __future__ import annotations

from .norm_names import NormNames


class NormOperators(NormNames):
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
            "total": self.total_text(),
            "y": "x.new_empty(x.shape, dtype=dtype)",
            "mean": "x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)",
            "rstd": "x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)",
        }
        branch = [
            f"    size = (0,) if {self.alike_text()} else total.shape",
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

    def function(self) -> list[str]:
        features = self.features
        given = [*self.incoming, *self.learned, *self.numbers, *self.seed, "dtype"]
        kept = [*self.results, *self.of_rows]
        normed = "total" if features.add else "x"
        saved = [normed, "weight", *self.of_rows, *self.seed]
        kept_as = ["x if branch is None else total" if features.optional else normed, *saved[1:]]
        gradients = [f"d_{name}" for name in [*self.incoming, "learned"]]
        alike = [f"        if {self.alike_text('ctx.')}:", "            d_branch = d_x"] if features.add else []
        if features.optional:
            alike += ["        if not ctx.added:", "            d_branch = None"]
        learned = [f"d_{name}" for name in self.learned]
        unbound = "d_learned.unbind()"
        if features.add:
            nothing = ", ".join(["None"] * len(learned))
            unbound += f" if is_used else ({nothing}{'' if features.bias else ','})"
        parts = f"        {', '.join(learned) if features.bias else '(d_weight,)'} = {unbound}"
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
            *(
                [
                    "        is_used = d_y is not None",
                    "        d_y = d_y if is_used else torch.zeros_like(total)",
                ]
                if features.add
                else []
            ),
            *(["        d_total = d_total if ctx.added else None"] if features.optional else []),
            f"        {', '.join(gradients)} = operators.norm_backward({', '.join([*passed, *more])})",
            *alike,
            parts,
            f"        return {', '.join([*results, *none])}",
        ]
