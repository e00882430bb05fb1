"""Text files as tokens: `text(files, tokenizer, window, split)`."""

from __future__ import annotations

from pathlib import Path

from ..text import TokenizerError
from . import options
from .dataset import Data
from .draws import parts_of
from .faults import DataError
from .files import Fingerprint, FoundFile, find_files, fingerprint_of, read_file
from .options import Options
from .tokenizer import make_tokenizer
from .utf8 import decoded
from .windows import TrainingWindows, ValidationWindows, window_fields


def open_text(settings: Options, base: Path, seed: int) -> Data:
    """The files in their order as one text, cut into a training and a validation part by its characters.

    The cut comes before the tokens: no token spans it, and bpe learns from the training part only. `characters` takes
    its vocabulary from the whole text, so that validation holds no unknown character.
    """
    patterns = settings.get("files") or []
    files = find_files([patterns] if isinstance(patterns, str) else list(patterns), base)
    window = options.whole_number(settings, "window")
    shares = options.split(settings)
    fingerprint: dict[str, Fingerprint] = {}
    texts: list[str] = []
    for file in files:
        content = read_file(file)
        fingerprint[file.name] = fingerprint_of(content)
        texts.append(decoded(file, content))
    text = "".join(texts)
    train_end, validation_end = parts_of(len(text), shares)
    training, validation = text[:train_end], text[train_end:validation_end]
    tokenizer = make_tokenizer(settings.get("tokenizer"), lambda: text, lambda: training, base, fingerprint)
    try:
        train_tokens = tokenizer.encode_array(training)
        validation_tokens = tokenizer.encode_array(validation)
    except TokenizerError as error:
        raise DataError(f"{_names(files)}: {error.message}", error.help) from None
    require_window("training", len(train_tokens), window)
    if shares[1] > 0 and len(validation_tokens) < 2:
        raise too_short_to_validate(len(validation_tokens))
    return Data(
        train=TrainingWindows(train_tokens, window, seed),
        validation=ValidationWindows(validation_tokens, window) if shares[1] > 0 else None,
        fields=window_fields(window, tokenizer.vocabulary),
        tokenizer=tokenizer,
        fingerprint=fingerprint,
    )


def require_window(part: str, count: int, window: int) -> None:
    if count <= window:
        raise DataError(
            f"the {part} part has {count:,} tokens; one window of {window:,} needs {window + 1:,}",
            f"give more text, or window = {count - 1} at most" if count > 1 else "give more text",
        )


def too_short_to_validate(count: int) -> DataError:
    return DataError(
        f"the validation part has {count} token{'s' * (count != 1)}: too few to ask for one",
        "give it a larger part of the text: split = [0.8, 0.2]; or none: split = [1.0, 0.0]",
    )


def _names(files: tuple[FoundFile, ...]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
