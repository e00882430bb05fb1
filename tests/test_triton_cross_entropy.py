"""The templates of cross-entropy in Triton's interpreter, against F.cross_entropy in float64; their machine code, and
that of what is emitted from them."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import asdict, dataclass

import pytest
import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from triton import knobs
from triton_files import specialised_module
from triton_launches import loaded, machine_code, recording
from triton_machine_code import TARGETS, compiled
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton.cross_entropy_features import IN_PLACE, ROOTS, CrossEntropyFeatures
from dlspec.compiler.backends.triton.file import KernelFile
from dlspec.compiler.backends.triton.specialise import specialise
from dlspec.compiler.scalars.expression import Variable, compute, constant

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")

HALVES = [torch.bfloat16, torch.float16]


@dataclass(frozen=True)
class Options:
    smoothing: float = 0.0
    z: float = 0.0
    ignore: int | None = None
    weights: bool = False
    function: bool = False

    def __str__(self) -> str:
        return "+".join(name for name, value in asdict(self).items() if value not in (0.0, None, False)) or "plain"


PLAIN = Options()
EVERYTHING = Options(0.1, 0.01, 3, True, True)
COMBINATIONS = [
    Options(*x) for x in itertools.product((0.0, 0.1), (0.0, 0.01), (None, 3), (False, True), (False, True))
]


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
    logits = 30 * torch.tanh(logits / 30) if options.function else logits
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
    (d_logits,) = torch.autograd.grad(loss, leaf, d_loss.to(loss).expand_as(loss))
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
            logits, labels, weights, mean, lse, d_loss, out, logits.stride(0), *numbers, **features
        )  # fmt: skip
    return loss, out


def run_in_place(logits: Tensor, labels: Tensor, options: Options, block: int = 32) -> tuple[Tensor, Tensor]:
    """The loss of each row, and the gradient, where that by each loss is 1, which the logits become."""
    weights = weights_of(logits.shape[1], options)
    mean = None if weights is None else weights.mean()
    loss = torch.full((len(logits),), float("nan"))
    numbers = (logits.shape[1], options.smoothing, options.z, options.ignore or 0)
    with interpreting():
        template("cross_entropy").cross_entropy_in_place[(len(logits),)](
            logits, labels, weights, mean, loss, logits.stride(0), *numbers,
            STAGES=1, BLOCK=block, **features_of(options),
        )  # fmt: skip
    return loss, logits


def features_of(options: Options) -> dict[str, bool]:
    return {
        "SMOOTHING": options.smoothing > 0,
        "Z_LOSS": options.z > 0,
        "IGNORE": options.ignore is not None,
        "WEIGHTS": options.weights,
        "FUNCTION": options.function,
    }


def hold_float32(logits: Tensor, labels: Tensor, options: Options, block: int = 32) -> None:
    d_loss = numbers(1, seed=7)
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
    logits, labels, d_loss = (3 * numbers(9, V)).to(dtype), labels_of(9, V), numbers(1, seed=7).to(dtype).float()
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
    labels, d_loss = labels_of(9, 37), numbers(1, seed=7)
    loss, d_logits = run(room[:, :37], labels, EVERYTHING, d_loss, out=out[:, :37])
    whole_loss, whole_d_logits = run(room[:, :37].contiguous(), labels, EVERYTHING, d_loss)
    torch.testing.assert_close(loss, whole_loss)
    torch.testing.assert_close(d_logits, whole_d_logits)
    assert (out[:, 37:] == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_the_gradient_may_take_the_place_of_the_logits(dtype: torch.dtype) -> None:
    logits, labels, d_loss = numbers(9, 77).to(dtype), labels_of(9, 77), numbers(1, seed=7)
    _, apart = run(logits, labels, EVERYTHING, d_loss)
    _, in_place = run(logits, labels, EVERYTHING, d_loss, out=logits)
    assert in_place is logits and torch.equal(in_place, apart)


def hold_in_place(logits: Tensor, labels: Tensor, options: Options, block: int = 32) -> None:
    """The same bits as of two kernels, one after the other."""
    want = run(logits, labels, options, torch.ones(1), block)
    for mine, theirs in zip(run_in_place(logits.clone(), labels, options, block), want, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_loss_and_gradient_in_one_pass(options: Options) -> None:
    hold_in_place(2 * numbers(6, 77), labels_of(6, 77), options)


@pytest.mark.slow
@pytest.mark.parametrize("options", COMBINATIONS[1:-1], ids=str)
def test_all_options_in_one_pass(options: Options) -> None:
    hold_in_place(2 * numbers(6, 77), labels_of(6, 77), options)


@pytest.mark.parametrize("V", [1, 31, 36, 65])
def test_sizes_in_one_pass(V: int) -> None:
    hold_in_place(numbers(5, V).bfloat16(), labels_of(5, V), PLAIN)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("V", [1, 2, 4, 31, 32, 36, 64, 65, 100])
def test_all_sizes_in_one_pass(V: int, dtype: torch.dtype) -> None:
    hold_in_place(numbers(5, V).to(dtype), labels_of(5, V), PLAIN)
    hold_in_place(numbers(5, V).to(dtype), labels_of(5, V), EVERYTHING, block=128)


def test_one_pass_leaves_what_lies_between_rows() -> None:
    room, labels = numbers(9, 50), labels_of(9, 37)
    between = room[:, 37:].clone()
    want = run(room[:, :37].clone(), labels, EVERYTHING, torch.ones(9))
    loss, d_logits = run_in_place(room[:, :37], labels, EVERYTHING)
    assert torch.equal(room[:, 37:], between)
    torch.testing.assert_close((loss, d_logits), want)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_one_pass_over_rows_that_do_not_count(options: Options) -> None:
    loss, d_logits = run_in_place(torch.full((3, 40), float("nan")), torch.full((3,), -100), options)
    assert (loss == 0).all() and (d_logits == 0).all()


def test_one_gradient_may_serve_all_rows() -> None:
    logits, labels, one = numbers(4, 20), labels_of(4, 20), torch.tensor([0.25])
    _, shared = run(logits, labels, PLAIN, one.expand(4))
    _, written_out = run(logits, labels, PLAIN, one.repeat(4))
    assert torch.equal(shared, written_out)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_rows_that_do_not_count_are_zero_whatever_is_in_them(options: Options) -> None:
    logits = torch.full((3, 40), float("nan"))
    logits[1] = float("inf")
    loss, d_logits = run(logits, torch.full((3,), -100), options, torch.tensor([float("inf")]))
    assert (loss == 0).all() and (d_logits == 0).all()


def test_what_all_logits_of_a_row_share_changes_nothing() -> None:
    """Numbers that float32 holds exactly, shifted or not; the gradient sees the rounding of the row's lse."""
    logits, labels, d_loss = (numbers(6, 70) * 64).round() / 64, labels_of(6, 70), numbers(1, seed=7)
    for options in (PLAIN, Options(smoothing=0.1)):
        loss, d_logits = run(logits, labels, options, d_loss)
        shifted_loss, shifted_d_logits = run(logits + 1024, labels, options, d_loss)
        tolerance = 1e-5 if options is PLAIN else 1e-5 * 1024 / 10
        torch.testing.assert_close(shifted_loss, loss, atol=tolerance, rtol=0)
        torch.testing.assert_close(shifted_d_logits, d_logits, atol=1024 * 1e-7, rtol=0)


def test_extreme_logits() -> None:
    """Classes that are ruled out have no part in the loss and no gradient, whole tiles of them neither."""
    logits, d_loss = numbers(4, 100), torch.ones(1)
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


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_a_soft_cap_of_logits_that_it_bends(dtype: torch.dtype) -> None:
    """Whole tiles and the last, and rows of which the cap has made all numbers alike."""
    logits, labels, d_loss = (40 * numbers(6, 150)).to(dtype), labels_of(6, 150), numbers(1, seed=7)
    logits[4], logits[5] = 500, -500
    for options in (Options(function=True), EVERYTHING):
        got = run(logits, labels, options, d_loss)
        exact = wanted(logits.double(), labels, options, d_loss)
        for mine, theirs in zip(got, exact, strict=True):
            tolerance = 1e-5 * math.sqrt(150) if dtype == torch.float32 else torch.finfo(dtype).eps
            torch.testing.assert_close(mine.double(), theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("label", [40, -1, 2**40 + 3])
@pytest.mark.parametrize("options", [PLAIN, EVERYTHING], ids=str)
def test_a_label_that_is_no_class_is_not_a_number(label: int, options: Options) -> None:
    """PyTorch stops the process on a GPU. Nothing beside the row is read."""
    logits, labels = numbers(3, 40), torch.tensor([5, label, 6])
    loss, d_logits = run(logits, labels, options, torch.ones(1))
    assert loss.isnan().tolist() == [False, True, False]
    assert d_logits[1].isnan().any() and not d_logits[::2].isnan().any()


# --- Text and machine code ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PLAIN, "smooth|weight|ignore|z_loss|by_class|plain|logit\\(|slope"),
        (Options(smoothing=0.1), "weight|ignore|z_loss|logit\\(|slope"),
        (Options(weights=True, z=0.1), "smooth|ignore|by_class|plain|logit\\(|slope"),
        (Options(function=True), "smooth|weight|ignore|z_loss|by_class|plain"),
    ],
    ids=str,
)
def test_what_is_not_asked_for_is_not_in_the_text(options: Options, words: str) -> None:
    roots = [f"cross_entropy.cross_entropy_{way}" for way in ("forward", "backward", "in_place")]
    assert re.findall(words, specialise(roots, features_of(options)).text, re.IGNORECASE) == []


POINTERS = dict.fromkeys(("weights", "mean_weight", "loss", "lse", "d_loss"), "*fp32") | {"labels": "*i64"}
SCALARS = dict.fromkeys(("row_step", "V", "ignore"), "i32") | {"smoothing": "fp32", "z": "fp32"}


def hold_machine_code(target: str, dtype: str, options: Options, multiples_of_16: tuple[str, ...]) -> None:
    types = POINTERS | SCALARS | {"logits": f"*{dtype}", "d_logits": f"*{dtype}"}
    absent = {} if options.weights else {"weights": None, "mean_weight": None}
    for kernel, block, threads in (("forward", 2048, 256), ("backward", 2048, 256), ("in_place", 8192, 512)):
        stages = {} if kernel == "backward" else {"STAGES": 1}
        constants = features_of(options) | stages | absent | {"BLOCK": block}
        function = getattr(template("cross_entropy", interpreted=False), f"cross_entropy_{kernel}")
        code = compiled(function, types, constants, threads, target, multiples_of_16)
        # Of both passes in one, sm_80 has all options in 64 registers and four words.
        assert code.stack <= (16 if (kernel, target) == ("in_place", "sm_80") else 0)
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


# --- What is emitted ---

CAP = compute("*", constant(30), compute("tanh", compute("/", Variable("x"), constant(30))))
VARIANTS = [CrossEntropyFeatures(*features) for features in itertools.product((False, True), (False, True))]
VARIANTS += [
    CrossEntropyFeatures(False, False, z_loss=True),
    CrossEntropyFeatures(False, False, function=CAP),
    CrossEntropyFeatures(False, True, weights=True),
    CrossEntropyFeatures(True, True, True, True, CAP),
    CrossEntropyFeatures(True, True, True, True, CAP, chunked=True),
]
NUMBERS = {"smoothing": 0.1, "z_loss": 1e-4, "ignore": 0}


@pytest.mark.slow
@pytest.mark.parametrize("features", VARIANTS, ids=str)
def test_the_same_machine_code_as_the_template(features: CrossEntropyFeatures) -> None:
    roots = (*ROOTS, IN_PLACE) if features.chunked else ROOTS
    own = specialised_module(roots, features.constants(), "cross_entropy")  # with the template's own soft cap
    types = POINTERS | SCALARS | {"logits": "*bf16", "d_logits": "*bf16"}
    for name in (root.partition(".")[2] for root in roots):
        kernel, made = getattr(template("cross_entropy", interpreted=False), name), getattr(own, name)
        taken, left = ({parameter.name for parameter in one.params} for one in (kernel, made))
        # What the features leave out is a constant of the template, and no parameter of what is made of it.
        constants = dict.fromkeys(taken - left) | {one: v for one, v in features.constants().items() if one in taken}
        with knobs.compilation.scope():
            knobs.compilation.disable_line_info = True
            want = compiled(kernel, types, {"BLOCK": 1024, **constants}, 128).text
            found = compiled(made, types, {"BLOCK": 1024}, 128).text
        assert re.sub(r"\s*//.*", "", found) == re.sub(r"\s*//.*", "", want)


def hold_emitted(target: str, features: CrossEntropyFeatures) -> None:
    """What the launchers start: loads of 16 bytes, of rows of any length, and nothing that left its register."""
    file = KernelFile("emitted")
    file.add(features)
    kernels = loaded(file.text("emitted.dlspec"))
    numbers = [number for name, number in NUMBERS.items() if getattr(features, name)]
    for dtype, V in ((torch.bfloat16, 50_257), (torch.float32, 1000)):
        with recording(kernels, 9 if target == "sm_90" else 8) as launches:
            setattr(kernels, "warps", lambda threads: threads // TARGETS[target].warp_size)  # noqa: B010  a module's
            logits = torch.empty(3, V, dtype=dtype, requires_grad=True)
            weights = [torch.ones(V)] if features.weights else []
            labels = torch.zeros(3, dtype=torch.int64)
            kernels.cross_entropy(logits, labels, *weights, *numbers).backward()
            if features.chunked:
                kernels.cross_entropy_with_gradient(logits, labels, *weights, *numbers)
        assert len(launches) == 2 + features.chunked
        for launch in launches:
            code = machine_code(kernels, launch, target)
            assert code.stack == 0
            assert code.shared <= 32_768
            assert code.wide_loads >= 1


@pytest.mark.parametrize("features", VARIANTS, ids=str)
def test_machine_code_of_what_is_emitted(features: CrossEntropyFeatures) -> None:
    hold_emitted("sm_90", features)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("features", VARIANTS, ids=str)
def test_machine_code_of_what_is_emitted_elsewhere(features: CrossEntropyFeatures, target: str) -> None:
    hold_emitted(target, features)
