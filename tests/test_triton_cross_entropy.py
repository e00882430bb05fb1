"""The templates of cross-entropy in Triton's interpreter, against F.cross_entropy in float64; their machine code."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from torch.overrides import TorchFunctionMode
from triton_machine_code import compiled
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton.specialise import specialise

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")

HALVES = [torch.bfloat16, torch.float16]


@dataclass(frozen=True)
class Options:
    smoothing: float = 0.0
    z: float = 0.0
    ignore: int | None = None
    weights: bool = False

    def __str__(self) -> str:
        return "+".join(name for name, value in asdict(self).items() if value not in (0.0, None, False)) or "plain"


PLAIN = Options()
EVERYTHING = Options(0.1, 0.01, 3, True)
COMBINATIONS = [Options(*x) for x in itertools.product((0.0, 0.1), (0.0, 0.01), (None, 3), (False, True))]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def labels_of(rows: int, V: int) -> Tensor:
    """Among them the first and the last class, and one that does not count."""
    labels = torch.randint(0, V, (rows,), generator=torch.Generator().manual_seed(V))
    labels[:3] = torch.tensor([0, V - 1, -100])[:rows]
    return labels


def weights_of(V: int, options: Options) -> Tensor | None:
    return numbers(V, seed=5).abs() if options.weights else None


def losses(logits: Tensor, labels: Tensor, options: Options) -> Tensor:
    """The loss of each row as PyTorch has it, in the dtype of the logits."""
    weights = weights_of(logits.shape[1], options)
    if options.ignore is not None:
        labels = labels.masked_fill(labels == options.ignore, -100)
    weights = None if weights is None else weights.to(logits)
    loss = F.cross_entropy(logits, labels, weights, reduction="none", label_smoothing=options.smoothing)
    if options.z:
        each = torch.ones_like(loss) if weights is None else weights[labels.clamp(min=0)]
        loss = loss + options.z * each * logits.logsumexp(1) ** 2 * (labels != -100)
    return loss


def wanted(logits: Tensor, labels: Tensor, options: Options, d_loss: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each row, and the gradient by the logits."""
    leaf = logits.detach().clone().requires_grad_()
    loss = losses(leaf, labels, options)
    (d_logits,) = torch.autograd.grad(loss, leaf, d_loss.to(loss))
    return loss.detach(), d_logits


def run(
    logits: Tensor, labels: Tensor, options: Options, d_loss: Tensor, block: int = 32, out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same by the kernels, in outputs that are NaN before; the gradient goes to `out` if there is one."""
    rows, V = logits.shape
    weights = weights_of(V, options)
    loss, lse = (torch.full((rows,), float("nan")) for _ in range(2))
    out = torch.full_like(logits, float("nan")) if out is None else out
    mean = None if weights is None else weights.mean()
    numbers = (V, options.smoothing, options.z, options.ignore or 0)
    features = features_of(options) | {"BLOCK": block}
    kernels = template("cross_entropy")
    with interpreting():
        kernels.cross_entropy_forward[(rows,)](
            logits, labels, weights, mean, loss, lse, logits.stride(0), *numbers, STAGES=1, **features
        )  # fmt: skip
        kernels.cross_entropy_backward[(rows, triton.cdiv(V, block))](
            logits, labels, weights, mean, lse, d_loss, out, logits.stride(0), d_loss.stride(0), *numbers, **features
        )  # fmt: skip
    return loss, out


def features_of(options: Options) -> dict[str, bool]:
    return {
        "SMOOTHING": options.smoothing > 0,
        "Z_LOSS": options.z > 0,
        "IGNORE": options.ignore is not None,
        "WEIGHTS": options.weights,
    }


def hold_float32(logits: Tensor, labels: Tensor, options: Options, block: int = 32) -> None:
    d_loss = numbers(len(logits), seed=7)
    got = run(logits, labels, options, d_loss, block)
    exact = wanted(logits.double(), labels, options, d_loss)
    for mine, theirs in zip(got, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=1e-5 * math.sqrt(logits.shape[1]), rtol=0)


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_options_in_float32(options: Options) -> None:
    hold_float32(2 * numbers(6, 77), labels_of(6, 77), options)


@pytest.mark.parametrize("V", [1, 2, 3, 4, 31, 32, 33, 36, 63, 64, 65, 100])
def test_sizes_in_float32(V: int) -> None:
    """Five rows begin at each distance from an aligned address that rows of V can have; tiles are 32 wide."""
    hold_float32(numbers(5, V), labels_of(5, V), PLAIN)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
@pytest.mark.parametrize("V", [1, 7, 8, 61, 72])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_precision_errs_at_most_twice_as_much_as_pytorch(dtype: torch.dtype, V: int, options: Options) -> None:
    logits, labels, d_loss = (3 * numbers(9, V)).to(dtype), labels_of(9, V), numbers(9, seed=7).to(dtype).float()
    got = run(logits, labels, options, d_loss)
    exact = wanted(logits.double(), labels, options, d_loss)
    pytorch = wanted(logits, labels, options, d_loss)
    for mine, theirs, true in zip(got, pytorch, exact, strict=True):
        assert (mine - true).abs().max() <= 2 * (theirs - true).abs().max() + 1e-6


@pytest.mark.parametrize("V", [50_257, 50_304, 262_144])
def test_vocabularies(V: int) -> None:
    hold_float32(numbers(2, V), labels_of(2, V), EVERYTHING, block=8192)


def test_rows_may_lie_apart_and_nothing_is_written_between_them() -> None:
    room, out = numbers(9, 50), torch.full((9, 50), 7.0)
    labels, d_loss = labels_of(9, 37), numbers(9, seed=7)
    loss, d_logits = run(room[:, :37], labels, EVERYTHING, d_loss, out=out[:, :37])
    whole_loss, whole_d_logits = run(room[:, :37].contiguous(), labels, EVERYTHING, d_loss)
    torch.testing.assert_close(loss, whole_loss)
    torch.testing.assert_close(d_logits, whole_d_logits)
    assert (out[:, 37:] == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_the_gradient_may_take_the_place_of_the_logits(dtype: torch.dtype) -> None:
    logits, labels, d_loss = numbers(9, 77).to(dtype), labels_of(9, 77), numbers(9, seed=7)
    _, apart = run(logits, labels, EVERYTHING, d_loss)
    _, in_place = run(logits, labels, EVERYTHING, d_loss, out=logits)
    assert in_place is logits and torch.equal(in_place, apart)


def test_one_gradient_may_serve_all_rows() -> None:
    logits, labels, one = numbers(4, 20), labels_of(4, 20), torch.tensor([0.25])
    _, shared = run(logits, labels, PLAIN, one.expand(4))
    _, written_out = run(logits, labels, PLAIN, one.repeat(4))
    assert torch.equal(shared, written_out)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_rows_that_do_not_count_are_zero_whatever_is_in_them(options: Options) -> None:
    logits = torch.full((3, 40), float("nan"))
    logits[1] = float("inf")
    loss, d_logits = run(logits, torch.full((3,), -100), options, torch.full((3,), float("inf")))
    assert (loss == 0).all() and (d_logits == 0).all()


def test_what_all_logits_of_a_row_share_changes_nothing() -> None:
    """Numbers that float32 holds exactly, shifted or not; the gradient sees the rounding of the row's lse."""
    logits, labels, d_loss = (numbers(6, 70) * 64).round() / 64, labels_of(6, 70), numbers(6, seed=7)
    for options in (PLAIN, Options(smoothing=0.1)):
        loss, d_logits = run(logits, labels, options, d_loss)
        shifted_loss, shifted_d_logits = run(logits + 1024, labels, options, d_loss)
        tolerance = 1e-5 if options is PLAIN else 1e-5 * 1024 / 10
        torch.testing.assert_close(shifted_loss, loss, atol=tolerance, rtol=0)
        torch.testing.assert_close(shifted_d_logits, d_logits, atol=1024 * 1e-7, rtol=0)


def test_extreme_logits() -> None:
    """Classes that are ruled out have no part in the loss and no gradient, whole tiles of them neither."""
    logits, d_loss = numbers(4, 100), torch.ones(4)
    labels = torch.tensor([0, 99, 50, 50])
    logits[0, 1:] = float("-inf")
    logits[1, :90] = torch.finfo(torch.float32).min
    logits[2] *= 1e30
    logits[3] = torch.finfo(torch.float32).min
    loss, d_logits = run(logits, labels, PLAIN, d_loss)
    exact_loss, exact_d_logits = wanted(logits.double(), labels, PLAIN, d_loss)
    torch.testing.assert_close(loss.double(), exact_loss, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(d_logits[:3].double(), exact_d_logits[:3], atol=1e-5, rtol=0)
    assert (d_logits[0] == 0).all() and (d_logits[1, :90] == 0).all()


@pytest.mark.parametrize("label", [40, -1, 2**40 + 3])
@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_a_label_that_is_no_class_is_not_a_number(label: int, options: Options) -> None:
    """PyTorch stops the process on a GPU. Nothing beside the row is read."""
    logits, labels = numbers(3, 40), torch.tensor([5, label, 6])
    loss, d_logits = run(logits, labels, options, torch.ones(3))
    assert loss.isnan().tolist() == [False, True, False]
    assert d_logits[1].isnan().any() and not d_logits[::2].isnan().any()


# --- A linear layer and its loss, in chunks ---

linear = template("linear_cross_entropy")


@pytest.fixture
def by_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What runs on a GPU, in the interpreter, from memory that is NaN before."""
    monkeypatch.setattr(linear, "plain_forward", linear.launch_forward)
    monkeypatch.setattr(linear, "plain_backward", linear.launch_backward)
    with interpreting(), Poisoned():
        yield


class Poisoned(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.empty, torch.empty_like, Tensor.new_empty) and made.is_floating_point():
            made.fill_(float("nan"))
        return made


def case(rows: int, H: int, V: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """hidden, weight, bias, labels."""
    hidden, weight, bias = numbers(rows, H), numbers(V, H, seed=1) / H**0.5, numbers(V, seed=2)
    leaves = [x.to(dtype).requires_grad_() for x in (hidden, weight, bias)]
    return leaves[0], leaves[1], leaves[2], labels_of(rows, V)


def mean_loss(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, options: Options) -> Tensor:
    """The mean of F.cross_entropy; of the z-loss too, which it has not."""
    logits = F.linear(hidden, weight, bias)
    weights = weights_of(len(weight), options)
    counts = (labels != -100) & (labels != (options.ignore if options.ignore is not None else -100))
    each = counts.to(logits) if weights is None else weights.to(logits)[labels.clamp(min=0)] * counts
    if not options.z:
        labels = labels.where(counts, -100)
        weights = None if weights is None else weights.to(logits)
        return F.cross_entropy(logits, labels, weights, label_smoothing=options.smoothing)
    return losses(logits, labels, options).sum() / each.sum()


def chunked(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, options: Options = PLAIN, chunk: int = 4
) -> Tensor:
    weights = weights_of(len(weight), options)
    if hidden.dtype == torch.float64 and weights is not None:
        weights = weights.double()
    return linear.linear_cross_entropy(
        hidden, weight, bias, labels, weights, options.smoothing, options.z, options.ignore, chunk
    )


def test_memory_is_poisoned(by_kernels: None) -> None:
    assert torch.empty(3).isnan().all() and torch.ones(2).new_empty(3).isnan().all()


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
def test_chunks_pass_gradcheck(options: Options, with_bias: bool) -> None:
    hidden, weight, bias, labels = case(5, 3, 7, torch.float64)
    given = (hidden, weight, bias) if with_bias else (hidden, weight)

    def loss(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return 3 * chunked(hidden, weight, bias, labels, options, chunk=2)

    assert torch.autograd.gradcheck(loss, given)


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_the_plain_form_is_the_loss_of_pytorch(options: Options) -> None:
    hidden, weight, bias, labels = case(9, 4, 11, torch.float64)
    compare_gradients(hidden, weight, bias, labels, options, 1e-12)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
@pytest.mark.parametrize("V", [5, 300, 2500])
def test_chunks_by_kernels(V: int, options: Options, by_kernels: None) -> None:
    hidden, weight, bias, labels = case(7, 8, V)
    compare_gradients(hidden, weight, bias, labels, options, 1e-5 * math.sqrt(V))


def compare_gradients(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, options: Options, tolerance: float
) -> None:
    leaves = (hidden, weight, bias)
    got = chunked(*leaves, labels, options)
    exact_leaves = [x.detach().double().requires_grad_() for x in leaves]
    exact = mean_loss(exact_leaves[0], exact_leaves[1], exact_leaves[2], labels, options)
    torch.testing.assert_close(got.double(), exact, atol=tolerance, rtol=0)
    gradients = torch.autograd.grad(2 * got, leaves)
    for mine, theirs in zip(gradients, torch.autograd.grad(2 * exact, exact_leaves), strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_chunks_in_half_precision_err_at_most_twice_as_much_as_pytorch(dtype: torch.dtype, by_kernels: None) -> None:
    hidden, weight, bias, labels = case(24, 16, 300, dtype)
    leaves = (hidden, weight, bias)
    exact_leaves = [x.detach().double().requires_grad_() for x in leaves]
    exact = mean_loss(*exact_leaves, labels, PLAIN)  # type: ignore[call-arg]
    pytorch = mean_loss(*leaves, labels, PLAIN)
    got = chunked(*leaves, labels, chunk=7)
    assert (got - exact).abs() <= 2 * (pytorch - exact).abs() + 1e-3
    gradients = (torch.autograd.grad(x, y) for x, y in ((got, leaves), (pytorch, leaves), (exact, exact_leaves)))
    for mine, theirs, true in zip(*gradients, strict=True):
        assert (mine - true).abs().max() <= 2 * (theirs - true).abs().max()


def test_a_scaled_loss_keeps_small_gradients_in_float16() -> None:
    """With a loss scale of 2^16 over 2^16 rows they are as large as without; divided first, they would be 0."""
    hidden, weight, _, _ = case(4, 3, 5, torch.float16)
    labels = torch.tensor([1, 2, 3, 4])
    gradient = torch.autograd.grad(chunked(hidden, weight, None, labels) * 2.0**14, hidden)[0]
    wide = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    exact = torch.autograd.grad(mean_loss(wide[0], wide[1], None, labels, PLAIN) * 2.0**14, wide[0])[0]
    torch.testing.assert_close(gradient.double(), exact, atol=1, rtol=2e-3)


def test_where_no_row_counts_the_loss_is_0_and_so_are_its_gradients(by_kernels: None) -> None:
    """F.cross_entropy, which models are emitted with, divides 0 by 0 then."""
    hidden, weight, bias, _ = case(6, 4, 20)
    labels = torch.full((6,), -100)
    loss = chunked(hidden, weight, bias, labels)
    assert loss == 0
    assert all((x == 0).all() for x in torch.autograd.grad(loss, (hidden, weight, bias)))
    theirs = mean_loss(hidden, weight, bias, labels, PLAIN)
    assert theirs.isnan()


def test_the_size_of_chunks_changes_nothing_but_rounding() -> None:
    hidden, weight, bias, labels = case(10, 4, 9, torch.float64)
    found = []
    for chunk in (1, 3, 10, 64):
        loss = chunked(hidden, weight, bias, labels, chunk=chunk)
        found.append((loss, *torch.autograd.grad(loss, (hidden, weight, bias))))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


class Largest(TorchFunctionMode):
    """The most entries that a tensor had."""

    entries = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.entries = max(self.entries, made.untyped_storage().nbytes() // made.element_size())
        return made


@pytest.mark.parametrize(("rows", "H", "V"), [(256, 16, 80), (512, 4, 1000)])
def test_never_all_the_logits(rows: int, H: int, V: int) -> None:
    """A chunk is about as large as the hidden states or the weight."""
    hidden, weight, _, labels = case(rows, H, V)
    with Largest() as largest:
        linear.linear_cross_entropy(hidden, weight, None, labels).backward()
    assert largest.entries <= 1.25 * max(rows * H, V * H) < rows * V / 3


def test_without_gradients_none_are_made() -> None:
    hidden, weight, bias, labels = case(6, 4, 20)
    made: list[Any] = []

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made.append(func)
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Calls():
        loss = chunked(hidden, weight, bias, labels)
    assert not loss.requires_grad and torch.empty_like not in made and Tensor.scatter_add_ not in made
    torch.testing.assert_close(loss, mean_loss(hidden, weight, bias, labels, PLAIN))


def test_what_is_frozen_has_no_gradient() -> None:
    hidden, weight, bias, labels = case(6, 4, 20)
    weight.requires_grad_(False)
    chunked(hidden, weight, bias, labels).backward()
    assert hidden.grad is not None and weight.grad is None and bias.grad is not None


def test_under_autocast_the_matrix_products_are_bfloat16_and_gradients_keep_their_dtype() -> None:
    hidden, weight, bias, labels = case(12, 8, 40)
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked(hidden, weight, bias, labels)
        theirs = mean_loss(hidden, weight, bias, labels, PLAIN)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, theirs.float(), atol=2e-2, rtol=0)
    gradients = torch.autograd.grad(loss, (hidden, weight, bias))
    for mine, true in zip(gradients, torch.autograd.grad(theirs, (hidden, weight, bias)), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, true, atol=2e-3, rtol=2e-2)


def test_leading_dims_are_rows() -> None:
    hidden, weight, bias, labels = case(6, 4, 20)
    folded = chunked(hidden.view(2, 3, 4), weight, bias, labels.view(2, 3))
    assert torch.equal(folded, chunked(hidden, weight, bias, labels))


def test_a_second_derivative_is_refused() -> None:
    hidden, weight, _, labels = case(3, 4, 5)
    (gradient,) = torch.autograd.grad(chunked(hidden, weight, None, labels) ** 2, hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


# --- Text and machine code ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PLAIN, "smooth|weight|ignore|z_loss|by_class|plain"),
        (Options(smoothing=0.1), "weight|ignore|z_loss"),
        (Options(weights=True, z=0.1), "smooth|ignore|by_class|plain"),
    ],
    ids=str,
)
def test_what_is_not_asked_for_is_not_in_the_text(options: Options, words: str) -> None:
    roots = [f"cross_entropy.cross_entropy_{way}" for way in ("forward", "backward")]
    assert re.findall(words, specialise(roots, features_of(options)).text, re.IGNORECASE) == []


POINTERS = dict.fromkeys(("weights", "mean_weight", "loss", "lse", "d_loss"), "*fp32") | {"labels": "*i64"}
SCALARS = dict.fromkeys(("row_step", "d_loss_step", "V", "ignore"), "i32") | {"smoothing": "fp32", "z": "fp32"}


def hold_machine_code(target: str, dtype: str, options: Options, multiples_of_16: tuple[str, ...]) -> None:
    types = POINTERS | SCALARS | {"logits": f"*{dtype}", "d_logits": f"*{dtype}"}
    absent = {} if options.weights else {"weights": None, "mean_weight": None}
    for kernel, block in (("forward", 2048), ("backward", 2048)):
        stages = {"STAGES": 1} if kernel == "forward" else {}
        constants = features_of(options) | stages | absent | {"BLOCK": block}
        function = getattr(template("cross_entropy", interpreted=False), f"cross_entropy_{kernel}")
        code = compiled(function, types, constants, 256, target, multiples_of_16)
        assert code.stack == 0
        assert code.shared <= 32_768
        assert code.wide_loads >= 1


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
@pytest.mark.parametrize("rows", ["even", "odd"])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_machine_code(dtype: str, rows: str, options: Options) -> None:
    """Loads of 16 bytes, of rows of any length."""
    hold_machine_code("sm_90", dtype, options, ("row_step", "V") if rows == "even" else ())


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
@pytest.mark.parametrize("rows", ["even", "odd"])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_machine_code_elsewhere(target: str, dtype: str, rows: str, options: Options) -> None:
    hold_machine_code(target, dtype, options, ("row_step", "V") if rows == "even" else ())
