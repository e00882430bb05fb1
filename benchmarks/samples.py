"""What generators draw: sheets of pictures from specs/vae.dlspec and specs/dcgan.dlspec, trained on Fashion-MNIST.

    python benchmarks/samples.py [--only vae dcgan] [--fashion FOLDER] [--out FOLDER] [--threads N] [--quick]

Writes vae.png and dcgan.png (docs/gallery shows them): eight by eight pictures that the decoder, or the generator,
makes of numbers drawn from a normal distribution. The DCGAN is a quarter as wide as the spec says, on 10,000 pictures
blown up to 64 x 64, for fifteen passes: some minutes on two CPU cores. So small a generator loses to its critic at once
(the sheet stays noise), so that it moves twice for each move of the critic, which is asked for 0.9 where a picture is
real (one-sided smoothing, Salimans et al. 2016).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from classics import FASHION, few_pictures
from PIL import Image
from programs import SPECS, read_idx
from torch import Tensor

import dlspec
from dlspec.runtime import open_display

SIDE = 8
QUICK = 200
IN_BALANCE = (
    "channels=1",
    'train.data=images("faces/", size = 64, colour = gray) -> normalize([0.5], [0.5])',
    "train.batch=64",
    "train.forge.times=2",
    "train.judge.loss=binary_cross_entropy_with_logits(on_real, 0.9) + binary_cross_entropy_with_logits(on_fake, 0)",
)


def trained(name: str, folder: Path, *overrides: str) -> Any:
    """The model after its training on what `folder` has, in evaluation."""
    spec = folder / f"{name}.dlspec"
    spec.write_bytes((SPECS / spec.name).read_bytes())
    result = dlspec.train(spec, folder / f"{name}-run", set=overrides, device="cpu", display=open_display("plain"))
    return dlspec.load(result.run)


def vae(folder: Path, quick: bool) -> Tensor:
    model = trained("vae", folder, *(("train.epochs=1",) if quick else ()))
    codes = torch.randn(SIDE * SIDE, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.decoder(codes).sigmoid().reshape(-1, 1, 28, 28)


def dcgan(folder: Path, quick: bool) -> Tensor:
    count, width = (QUICK, 4) if quick else (10_000, 16)
    pictures = read_idx(folder / "train-images-idx3-ubyte.gz")[:count]
    (folder / "faces" / "all").mkdir(parents=True)
    for number, picture in enumerate(pictures):
        large = Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR)
        large.save(folder / "faces" / "all" / f"{number:05}.png")
    model = trained("dcgan", folder, f"width={width}", f"train.epochs={1 if quick else 15}", *IN_BALANCE)
    noise = torch.randn(SIDE * SIDE, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # As it was trained: with the statistics of what is drawn together.
        return (model.generator.train()(noise) + 1) / 2


SHEETS: dict[str, Callable[[Path, bool], Tensor]] = {"vae": vae, "dcgan": dcgan}


def sheet(pictures: Tensor) -> Image.Image:
    """[64, channels, H, W] from 0 to 1, side by side."""
    count, channels, height, width = pictures.shape
    rows = pictures.reshape(SIDE, count // SIDE, channels, height, width)
    whole = rows.permute(0, 3, 1, 4, 2).reshape(SIDE * height, -1, channels)
    array = (whole.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(array[..., 0] if channels == 1 else array)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SHEETS, default=list(SHEETS), help="which (default: both)")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="where the files of Fashion-MNIST are")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder to write into (default: this one)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--quick", action="store_true", help="a pass over few made pictures, to see that it works")
    asked = parser.parse_args(arguments)
    if not asked.quick and not asked.fashion.is_dir():
        parser.error(f"there is no {asked.fashion}: give the folder of Fashion-MNIST with --fashion")
    torch.set_num_threads(asked.threads)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.only:
        with TemporaryDirectory() as made:
            folder = Path(made)
            if asked.quick:
                few_pictures(folder)
            else:
                for path in asked.fashion.glob("*.gz"):
                    (folder / path.name).symlink_to(path)
            sheet(SHEETS[name](folder, asked.quick)).save(asked.out / f"{name}.png", optimize=True)
        print(f"wrote {asked.out / f'{name}.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
