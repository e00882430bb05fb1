"""The kernel that tells where the documents of a block begin and end, and launches of large batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from triton_attention import spans
from triton_files import compiled as file_of
from triton_launches import loaded, recording
from triton_machine_code import TARGETS, compiled
from triton_templates import interpreting, template


def found(documents: Tensor, block: int, step: int = 16) -> Tensor:
    B, T = documents.shape
    blocks = -(-T // block)
    room = torch.full((B, blocks, 2), -7, dtype=torch.int32)
    with interpreting():
        template("attention_documents").attention_spans[(blocks * B,)](documents, room, T, BLOCK=block, STEP=step)
    return room


def documents(kind: str, T: int) -> Tensor:
    draw = torch.Generator().manual_seed(T)
    return {
        "packed": torch.randint(0, 2, (3, T), generator=draw).cumsum(1),
        "in any order": torch.randint(-4, 5, (3, T), generator=draw),
        "one": torch.zeros(3, T, dtype=torch.int64),
        "each its own": torch.arange(T).flip(0).expand(3, T).contiguous() * 2**33,
    }[kind]


@pytest.mark.parametrize("kind", ["packed", "in any order", "one", "each its own"])
@pytest.mark.parametrize("T", [1, 15, 16, 50, 64])
@pytest.mark.parametrize("block", [16, 64])
def test_where_documents_begin_and_end(block: int, T: int, kind: str) -> None:
    given = documents(kind, T)
    assert torch.equal(found(given, block), spans(given, block))


@pytest.mark.parametrize("target", TARGETS)
def test_it_stays_in_registers(target: str) -> None:
    function = template("attention_documents", interpreted=False).attention_spans
    types = {"documents": "*i64", "spans": "*i32", "T": "i32"}
    code = compiled(function, types, {"BLOCK": 128, "STEP": 64}, 4 * TARGETS[target].warp_size, target)
    assert code.stack == 0


@pytest.mark.parametrize("options", ["causal = true", "documents = documents", "score = x -> RelativeBias(2)"])
def test_a_batch_may_have_more_heads_than_a_launch_has_programs_along_its_second_axis(options: str) -> None:
    """65,535 of them. The recorder of launches holds their sizes."""
    ports = "x: [B, T <= 16, 32]" + (", documents: int[B, T]" if "documents" in options else "")
    body = f"x -> SelfAttention(2, {options}) as y"
    artefact = file_of(f"dlspec 1\nmodel Net: ({ports}) -> (y: [B, T, 32]) {{\n {body}\n}}\n")
    (text,) = artefact.kernels.values()
    kernels = loaded(text)
    B = 33_000
    q, k, v = (torch.empty(B, 1, 2, 16, dtype=torch.bfloat16, requires_grad=True) for _ in "qkv")
    more = [torch.zeros(B, 1, dtype=torch.int64)] if "documents" in options else []
    more += [torch.zeros(2, 1, 1)] if "Relative" in options else []
    with recording(kernels, 9) as launches:
        kernels.attention(q, k, v, *more).sum().backward()
    assert len(launches) >= 4
