"""Systems whose memory is measured: specs of the zoo, as they are or at sizes that a small machine trains."""

from __future__ import annotations

from dataclasses import dataclass

from programs import SPECS


@dataclass(frozen=True)
class System:
    """A spec with what is set, and the batches it is measured at.

    `data` takes the place of data that this version cannot read where the spec runs; it is planned with its own, which
    says how large its examples are.
    """

    name: str
    spec: str
    overrides: tuple[str, ...]
    batches: tuple[int, ...]
    quick: tuple[str, ...] = ()
    """What is set besides, where it only has to be seen that all works."""
    data: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return (SPECS / f"{self.spec}.dlspec").read_text(encoding="utf-8")


SMALL_PICTURE = 96
"""The side at which ResNet's last maps are 3 x 3. Over smaller ones oneDNN, on a CPU with AVX2 but no AVX-512, takes
four copies of a convolution's weights a thread while it computes their gradient (PyTorch 2.13): no plan counts them."""

_SMALL_GPT = ("vocab=300", "context=32", "dim=32", "heads=2", "depth=2")
_SMALL_TRANSFORMER = ("vocab=300", "dim=32", "heads=2", "depth=2")
_ARRAYS = ('train.data=arrays("made.npz")',)


def _gpt(name: str, precision: str, batches: tuple[int, ...], *overrides: str) -> System:
    run = ("train.parallel=none", f"train.precision={precision}")
    return System(f"{name}, {precision}", "gpt", (*run, *overrides), batches, _SMALL_GPT)


def _resnet(name: str, precision: str, batches: tuple[int, ...], side: int) -> System:
    run = (_pictures(side), f"train.precision={precision}")
    return System(f"{name}, {precision}", "resnet18", run, batches, (_pictures(SMALL_PICTURE),), _ARRAYS)


def _transformer(name: str, precision: str, batches: tuple[int, ...], window: int, *overrides: str) -> System:
    run = ("train.metrics=none", "train.init=none", f"train.precision={precision}", _pairs(window))
    quick = (*_SMALL_TRANSFORMER, _pairs(16))
    return System(f"{name}, {precision}", "transformer", (*run, *overrides), batches, quick, _ARRAYS)


def _pictures(side: int) -> str:
    return f'train.data=images("pictures", size = {side})'


def _pairs(window: int) -> str:
    return f'train.data=pairs("train.de", "train.en", tokenizer = bpe(vocab), window = {window})'


_NARROW_GPT = ("vocab=5_000", "context=256", "dim=192", "heads=6", "depth=6")

ON_A_CPU = (
    System("char-GPT", "chargpt", (), (4, 16, 64), ("context=16", "dim=32", "heads=2", "depth=2")),
    _gpt("GPT-2, narrow", "fp32", (1, 4, 12), *_NARROW_GPT),
    _gpt("GPT-2, narrow", "bf16", (1, 4, 12), *_NARROW_GPT),
    _resnet(f"ResNet-18 at {SMALL_PICTURE} x {SMALL_PICTURE}", "fp32", (4, 16, 64), SMALL_PICTURE),
    _transformer("Transformer, narrow", "fp32", (2, 8, 32), 64, "vocab=5_000", "dim=256", "depth=3"),
)
ON_A_GPU = tuple(
    system
    for precision in ("fp32", "bf16")
    for system in (
        _gpt("GPT-2 124M", precision, (4, 8, 16)),
        _resnet("ResNet-18", precision, (32, 64, 128), 224),
        _transformer("Transformer, base", precision, (16, 32, 64), 256),
    )
)
