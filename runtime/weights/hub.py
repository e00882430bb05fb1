"""Published models: their files from the cache of huggingface_hub, or loaded into it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import Refused
from .files import CONVERT, INDEX, MODEL, PICKLES, WeightFiles, open_weights, parts_of

CONFIG = "config.json"


def open_hub(name: str, base: Path) -> WeightFiles:
    """The weights of a published model. A name that begins with a dot or a slash is a folder laid out like one, as seen
    from `base`. Raises Refused."""
    if _is_folder(name):
        return open_weights(base / name, name)
    found = _first(name, (MODEL, INDEX))
    if found is None:
        pickle = _first(name, PICKLES)
        message = f"{name} holds no {MODEL}" + (f", but {pickle.name}, which is a pickle" if pickle else "")
        raise Refused(message, CONVERT if pickle else "Take a model that has its weights as safetensors.")
    if found.name == INDEX:
        for part in parts_of(found):
            if _first(name, (part,)) is None:
                raise Refused(f"{name} holds no {part}, and its index names it", "Take another version of the model.")
    return open_weights(found, name)


def model_type(name: str, base: Path) -> str:
    """What the config of a published model calls its kind, `gpt2`; "" where it does not say. Raises Refused."""
    path = base / name / CONFIG if _is_folder(name) else _first(name, (CONFIG,))
    try:
        found = json.loads(path.read_bytes()) if path is not None and path.is_file() else {}
    except ValueError:
        return ""
    kind = found.get("model_type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else ""


def _is_folder(name: str) -> bool:
    return name.startswith((".", "/"))


def _first(name: str, files: Sequence[str]) -> Path | None:
    """The first of several files that a model has, one that is in the cache before one that is to be loaded; None where
    it has none of them."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        raise Refused("`hub` needs huggingface_hub", 'Install it: pip install "dlspec[hub]"') from None
    try:
        cached = {file: try_to_load_from_cache(name, file) for file in files}
    except HFValidationError:
        message = f"`{name}` is no name of a model of the hub: these are `model` or `owner/model`"
        raise Refused(message, 'A folder is `hub("./folder")`, a file `weights("model.safetensors")`.') from None
    found = next((path for path in cached.values() if isinstance(path, str)), None)
    if found is not None:
        return Path(found)
    # For others the cache has noted that the model has no such file.
    loaded = (_loaded(name, file) for file, path in cached.items() if path is None)
    return next((path for path in loaded if path is not None), None)


def _loaded(name: str, file: str) -> Path | None:
    """A file of a model, loaded into the cache; None where the model has none of that name. Raises Refused."""
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(name, file))
    except errors.LocalEntryNotFoundError:
        raise _unreachable(name, file) from None
    except errors.EntryNotFoundError:
        return None
    except errors.GatedRepoError:
        message = f"the hub gives {name} to those only who have accepted its terms"
        raise Refused(message, "Accept them on its page, and log in: `hf auth login`.") from None
    except errors.RepositoryNotFoundError:
        message = f"the hub has no model {name}, or none that it shows you"
        raise Refused(message, "See that the name is right; for a private model log in: `hf auth login`.") from None
    except errors.HfHubHTTPError as error:
        raise Refused(f"the hub does not give {name}: {str(error).strip().splitlines()[0]}", "Try it later.") from None
    except OSError:
        raise _unreachable(name, file) from None


def _unreachable(name: str, file: str) -> Refused:
    message = f"{file} of {name} is not in the cache, and the hub cannot be reached"
    return Refused(message, f"Where there is a network: `hf download {name}`, and copy its cache (HF_HOME) here.")
