"""The text of what starts the kernels of an attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .attention_given import AttentionNames


class AttentionLaunchers(AttentionNames):
    def _arguments(self, kernel: str, outputs: dict[str, str], block: str) -> Iterator[str]:
        """What a launch passes, in the order of the kernel's parameters; `block` counts what `spans` are of."""
        expressions = {
            **{name: f"tiles_of({name}, {rows}, described)" for name, rows in zip("qkv", "mnn", strict=True)},
            "d_out": "tiles_of(d_out, m, described)",
            **{f"{name}_row": f"{name}.stride(1)" for name in ("q", "k", "v", "d_out", "d_q", "d_k")},
            "cap": "softcap",
            "prefixes": "prefix",
            "seeds": "seed",
            "drop": "dropout",
            "spans": f"document_spans(documents, {block})",
            **outputs,
        }
        constants = {
            "BLOCK_M": "m",
            "BLOCK_N": "n",
            "STAGES": "stages",
            "DESCRIBED": "described",
            "RAGGED": "T % m != 0 or S % n != 0",
            "DROPOUT": "dropout > 0",
        }
        for parameter in self.kernels.parameters[kernel]:
            if parameter in constants:
                yield f"{parameter}={constants[parameter]}"
            else:
                yield expressions.get(parameter, parameter)

    def _launch(self, kernel: str, grid: str, outputs: dict[str, str], block: str) -> str:
        options = ["num_warps=warps", "num_stages=stages"]
        return f"{kernel}[{grid}]({', '.join([*self._arguments(kernel, outputs, block), *options])})"

    def spans(self) -> list[str]:
        return [
            "def document_spans(documents: Tensor, block: int) -> Tensor:",
            '    """The first key and the end of the last that a block meets: [B, blocks, 2]"""',
            "    B, T = documents.shape",
            "    blocks = triton.cdiv(T, block)",
            "    spans = torch.empty((B, blocks, 2), dtype=torch.int32, device=documents.device)",
            "    attention_spans[(blocks * B,)](documents, spans, T, BLOCK=block, STEP=64)",
            "    return spans",
        ]

    def launch_forward(self) -> list[str]:
        return [
            f"def launch_attention_forward({self.parameters('qkv', self.all)}) -> tuple[Tensor, Tensor]:",
            *self.sizes(),
            "    S = k.shape[1]",
            "    q, k, v = rows(q), rows(k), rows(v)",
            *self.side_by_side(),
            f"    out = torch.empty({self.out}, dtype=q.dtype, device=q.device)",
            "    lse = torch.empty((B, heads, T), dtype=torch.float32, device=q.device)",
            "    m, n, warps, stages, described = tiles(ATTENTION_FORWARD, q)",
            "    with torch.cuda.device_of(q):",
            f"        {self._launch('attention_forward', '(triton.cdiv(T, m) * B * heads,)', {}, 'm')}",
            "    return out, lse",
        ]

    def launch_backward(self) -> list[str]:
        names = ["d_out", "q", "k", "v", "out", "lse"]
        results = self.results()
        keys = self._launch(
            "attention_backward_keys",
            "(triton.cdiv(S, n) * B * kv_heads,)",
            {"d_k_out": "d_k", "d_v_out": "d_v"},
            "n",
        )
        queries = self._launch(
            "attention_backward_queries", "(blocks * B * heads,)", {"d_q_out": "d_q", "d_weights": "shares"}, "m"
        )
        lines = [
            f"def launch_attention_backward({self.parameters(names, self.all)}) -> {_tensors(results)}:",
            *self.sizes(),
            "    S, kv_heads = k.shape[1:3]",
            "    q, k, v, d_out = rows(q), rows(k), rows(v), rows(d_out.contiguous())",
            *self.side_by_side(),
            *self._gradients(),
            "    delta = torch.empty_like(lse)",
            "    with torch.cuda.device_of(q):",
            "        blocks = triton.cdiv(T, 64)",
            "        attention_delta[(blocks * B * heads,)](out, d_out, delta, T, heads, BLOCK_M=64)",
            "        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_KEYS, q)",
            f"        {keys}",
            "        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_QUERIES, q)",
            "        blocks = triton.cdiv(T, m)",
        ]
        if self.learned:
            lanes = self.features.constants()["LANES"]
            lines += [
                "        # A share of the weights' gradient from each program.",
                f"        shares = torch.empty((B, heads, blocks, {lanes}), device=q.device)",
            ]
        lines.append(f"        {queries}")
        if self.learned:
            assert self.features.score is not None
            lines.append(f"    d_weights = shares.sum((0, 2)).T[:{len(self.features.score.by_head)}].to(weights.dtype)")
        return [*lines, f"    return {', '.join(results)}"]

    def _gradients(self) -> list[str]:
        """Room for them."""
        if not self.features.joined:
            return [f"    d_{x} = torch.empty({x}.shape, dtype={x}.dtype, device={x}.device)" for x in "qkv"]
        wide = "q.shape[-1]" if self.features.scaled else "width"
        return [
            f"    size = (B, T, heads + 2 * kv_heads, {wide})",
            "    d_qkv = torch.empty(size, dtype=q.dtype, device=q.device)",
            "    d_q, d_k, d_v = d_qkv.split([heads, kv_heads, kv_heads], 2)",
        ]

    def launch_backward_bias(self) -> list[str]:
        names = ["d_out", "q", "k", "v", "lse", "delta"]
        planes = "heads" if self.features.bias == "one" else "B * heads"
        launch = self._launch(
            "attention_backward_bias", f"(triton.cdiv(S, n) * triton.cdiv(T, m) * {planes},)", {}, "m"
        )
        return [
            f"def launch_attention_backward_bias({self.parameters(names, self.all)}) -> Tensor:",
            *self.sizes(),
            "    S = k.shape[1]",
            "    q, k, v, d_out = rows(q), rows(k), rows(v), rows(d_out.contiguous())",
            *self.side_by_side(),
            "    d_bias = torch.empty_like(bias)",
            "    m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_BIAS, q)",
            "    with torch.cuda.device_of(q):",
            f"        {launch}",
            "    return d_bias",
        ]


def _tensors(names: Sequence[str]) -> str:
    return "Tensor" if len(names) == 1 else f"tuple[{', '.join('Tensor' for _ in names)}]"
