"""Published models: with the weights of one of transformers, a spec that comes with dlspec computes what that does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from weights_cases import program, started

from dlspec.runtime import Refused
from dlspec.runtime.weights import open_start

transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'dlspec[dev]'")

pytestmark = pytest.mark.slow

VOCAB, DIM, HEADS, DEPTH = 300, 32, 4, 3


@dataclass(frozen=True)
class Published:
    """A family: a small model of transformers, the spec at its size, and how both are asked the same.

    `ask` gives pairs of what theirs and ours say. `inner` is the part of theirs whose names the page on weights shows.
    """

    make: Callable[[], Any]
    sizes: str
    model: str
    output: str
    ask: Callable[[Any, nn.Module], list[tuple[Tensor, Tensor]]]
    inner: str | None = None


def tokens(*shape: int, pad: bool = False) -> Tensor:
    ids = torch.randint(1, VOCAB, shape)
    if pad:
        ids[1, 6:] = 0
        ids[2, 2:] = 0
    return ids


def ask_gpt(theirs: Any, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    ids = tokens(3, 9)
    full = tokens(2, 16)
    return [(theirs(ids).logits, ours(ids)), (theirs(full).logits, ours(full))]


def ask_bert(theirs: Any, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    ids, kinds = tokens(3, 9, pad=True), torch.randint(0, 2, (3, 9))
    said = theirs(input_ids=ids, attention_mask=(ids != 0).long(), token_type_ids=kinds)
    states, pooled = ours(ids, kinds)
    alone, _ = ours(ids[2:3, :2], kinds[2:3, :2])
    real = (ids != 0).unsqueeze(-1)
    return [
        (said.last_hidden_state * real, states * real),
        (said.pooler_output, pooled),
        (said.last_hidden_state[2:3, :2], alone),
    ]


def ask_t5(theirs: Any, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The longer text has distances in every bucket."""
    pairs = []
    for source, length in ((tokens(3, 9, pad=True), 7), (tokens(2, 200), 150)):
        target = tokens(len(source), length)
        target[:, 0] = 0  # what the decoder begins with
        said = theirs(input_ids=source, attention_mask=(source != 0).long(), decoder_input_ids=target)
        pairs.append((said.logits, ours(source, target)))
    return pairs


def ask_vit(theirs: Any, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    image = torch.randn(3, 3, 48, 48)
    return [(theirs(image).logits, ours(image))]


def small(config: str, **sizes: Any) -> Any:
    return getattr(transformers, config)(**sizes)


FAMILIES = {
    "gpt": Published(
        lambda: transformers.GPT2LMHeadModel(
            small("GPT2Config", vocab_size=VOCAB, n_positions=16, n_embd=DIM, n_head=HEADS, n_layer=DEPTH)
        ),
        f"vocab={VOCAB} context=16 dim={DIM} heads={HEADS} depth={DEPTH}",
        "GPT",
        "logits",
        ask_gpt,
        inner="transformer",
    ),
    "bert": Published(
        lambda: transformers.BertModel(
            small(
                "BertConfig",
                vocab_size=VOCAB,
                max_position_embeddings=32,
                hidden_size=DIM,
                num_attention_heads=HEADS,
                num_hidden_layers=DEPTH,
                intermediate_size=4 * DIM,
            )
        ),
        f"vocab={VOCAB} context=32 dim={DIM} heads={HEADS} depth={DEPTH}",
        "Bert",
        "pooled",
        ask_bert,
    ),
    "t5": Published(
        lambda: transformers.T5ForConditionalGeneration(
            small(
                "T5Config",
                vocab_size=VOCAB,
                d_model=DIM,
                num_heads=HEADS,
                num_layers=DEPTH,
                d_ff=4 * DIM,
                initializer_factor=0.5,  # scores are not scaled: larger ones would be nearly all or nothing
            )
        ),
        f"vocab={VOCAB} dim={DIM} heads={HEADS} depth={DEPTH}",
        "T5",
        "logits",
        ask_t5,
    ),
    "vit": Published(
        lambda: transformers.ViTForImageClassification(
            small(
                "ViTConfig",
                image_size=48,
                hidden_size=DIM,
                num_attention_heads=HEADS,
                num_hidden_layers=DEPTH,
                intermediate_size=4 * DIM,
                layer_norm_eps=1e-6,
                num_labels=5,
            )
        ),
        f"classes=5 side=48 dim={DIM} heads={HEADS} depth={DEPTH}",
        "ViT",
        "logits",
        ask_vit,
    ),
    "llama": Published(
        lambda: transformers.LlamaForCausalLM(
            small(
                "LlamaConfig",
                vocab_size=VOCAB,
                max_position_embeddings=16,
                hidden_size=DIM,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS // 2,
                num_hidden_layers=DEPTH,
                intermediate_size=3 * DIM,
                rms_norm_eps=1e-5,
                rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
                tie_word_embeddings=False,
            )
        ),
        f"vocab={VOCAB} context=16 dim={DIM} hidden={3 * DIM} heads={HEADS} kv_heads={HEADS // 2} depth={DEPTH}",
        "Llama",
        "logits",
        ask_gpt,
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def theirs(family: str) -> Any:
    """Weights that no two tensors have alike, gains and biases among them."""
    torch.manual_seed(5)
    model = FAMILIES[family].make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def ours(repo: Path, family: str, start: str, base: Path) -> nn.Module:
    """The spec of a family with one more recipe, which starts as it is told to."""
    case = FAMILIES[family]
    recipe = f"""
train {case.model} as started {{
  start     = {start}
  data      = arrays("x.npz")
  loss      = mse({case.output}, 1)
  optimizer = AdamW(lr = 1e-3)
  steps     = 2
  batch     = 2
}}
"""
    text = (repo / "specs" / f"{family}.dlspec").read_text() + recipe
    return started(program(text, case.sizes.split(), "started"), base)


def require_equal(family: str, theirs: Any, ours: nn.Module) -> None:
    torch.manual_seed(9)
    with torch.no_grad():
        for expected, found in FAMILIES[family].ask(theirs, ours):
            assert expected.abs().max() > 0.1
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


# --- the same outputs ------------------------------------------------------------------------------------------------


def test_with_the_names_that_are_ready(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "published")
    require_equal(family, theirs, ours(repo, family, 'hub("./published")', tmp_path))


def test_in_parts(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "published", max_shard_size="40KB")
    assert len(list((tmp_path / "published").glob("*.safetensors"))) > 1
    require_equal(family, theirs, ours(repo, family, 'hub("./published")', tmp_path))


def test_with_the_map_that_the_page_shows(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    page = (repo / "docs" / "reference" / "weights.md").read_text()
    (line,) = re.findall(rf"^```dlspec start of {family}\nstart = (.*?)^```$", page, re.MULTILINE | re.DOTALL)
    inner = FAMILIES[family].inner
    (theirs if inner is None else getattr(theirs, inner)).save_pretrained(tmp_path)
    require_equal(family, theirs, ours(repo, family, line.strip(), tmp_path))
    # In the place of the names that are ready.
    published = line.strip().replace('weights("model.safetensors"', 'hub("./"')
    require_equal(family, theirs, ours(repo, family, published, tmp_path))


def test_halves_are_the_halves_of_theirs(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    """What is published in bfloat16 is the same numbers here and there."""
    rounded = {name: tensor.bfloat16() for name, tensor in theirs.state_dict().items()}
    halves = FAMILIES[family].make().to(torch.bfloat16)
    halves.load_state_dict(rounded)
    halves.save_pretrained(tmp_path / "published")
    full = FAMILIES[family].make().eval()
    full.load_state_dict(rounded)
    require_equal(family, full, ours(repo, family, 'hub("./published")', tmp_path))


# --- files as they were published first ------------------------------------------------------------------------------

OLDER: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "gpt": lambda file: {
        **{name.removeprefix("transformer."): tensor for name, tensor in file.items()},
        **{f"h.{i}.attn.bias": torch.ones(1, 1, 16, 16).tril() for i in range(DEPTH)},
        "lm_head.weight": file["transformer.wte.weight"].clone(),
    },
    "bert": lambda file: {
        **{
            f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
            for name, t in file.items()
        },
        "bert.embeddings.position_ids": torch.arange(32).unsqueeze(0),
        "cls.predictions.bias": torch.zeros(VOCAB),
        "cls.predictions.transform.dense.weight": torch.zeros(DIM, DIM),
        "cls.seq_relationship.bias": torch.zeros(2),
    },
    "t5": lambda file: {
        **file,
        "encoder.embed_tokens.weight": file["shared.weight"].clone(),
        "decoder.embed_tokens.weight": file["shared.weight"].clone(),
        "lm_head.weight": file["shared.weight"].clone(),
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": torch.zeros(32, HEADS),
    },
    "vit": lambda file: {**file, "pooler.dense.weight": torch.zeros(DIM, DIM), "pooler.dense.bias": torch.zeros(DIM)},
    "llama": lambda file: {
        **file,
        **{f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.zeros(4) for i in range(DEPTH)},
    },
}


def test_with_the_names_of_older_files(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    theirs.save_pretrained(folder)
    save_file(OLDER[family](load_file(folder / "model.safetensors")), folder / "model.safetensors")
    require_equal(family, theirs, ours(repo, family, 'hub("./published")', tmp_path))


def test_what_a_model_lacks_is_told_with_its_own_names(repo: Path, family: str, theirs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    theirs.save_pretrained(folder)
    file = load_file(folder / "model.safetensors")
    lost = next(name for name in sorted(file) if re.match(r"\D*\.1\.", name))
    save_file(
        {name: t for name, t in file.items() if name != lost} | {"extra.weight": file[lost]},
        folder / "model.safetensors",
    )
    with pytest.raises(Refused, match=r"in the model and not found: \w+\.1\.") as caught:
        ours(repo, family, 'hub("./published")', tmp_path)
    assert "in the file and not used: extra.weight" in caught.value.message


def test_no_name_hides_another(repo: Path, tmp_path: Path) -> None:
    """What begins with `transformer.` and what does not are the same names, in different files."""
    folder = tmp_path / "published"
    FAMILIES["gpt"].make().save_pretrained(folder)
    file = load_file(folder / "model.safetensors")
    save_file(file | {"wpe.weight": file["transformer.wpe.weight"] + 1}, folder / "model.safetensors")
    with pytest.raises(Refused, match=r"in the file and not used: transformer\.wpe\.weight"):
        ours(repo, "gpt", 'hub("./published")', tmp_path)


# --- the cache of the hub --------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def publish(cache: Path, name: str, folder: Path) -> Path:
    """Lay a folder into a cache as if it had been loaded."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(folder, repository / "snapshots" / commit)
    return repository / "snapshots" / commit


@pytest.mark.parametrize("size", ["1GB", "40KB"], ids=["whole", "parts"])
def test_from_the_cache(repo: Path, tmp_path: Path, cache: Path, size: str) -> None:
    model = FAMILIES["gpt"].make().eval()
    model.save_pretrained(tmp_path / "made", max_shard_size=size)
    publish(cache, "someone/tiny", tmp_path / "made")
    require_equal("gpt", model, ours(repo, "gpt", 'hub("someone/tiny")', tmp_path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "gpt2",
            r"model\.safetensors of gpt2 is not in the cache, and the hub cannot be reached\n.*`hf download gpt2`",
        ),
        ("a/b/c", "`a/b/c` is no name of a model of the hub"),
        ("./nowhere", r"\./nowhere is not there"),
    ],
)
def test_what_is_not_in_the_cache(tmp_path: Path, cache: Path, name: str, says: str) -> None:
    settings = {"word": "hub", "source": name, "map": [], "skip": [], "into": None}
    with pytest.raises(Refused) as caught:
        open_start(settings, tmp_path)
    assert re.search(says, f"{caught.value.message}\n{caught.value.help}")


def test_a_pickle_in_the_cache(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "made").mkdir()
    torch.save({}, tmp_path / "made" / "pytorch_model.bin")
    (tmp_path / "made" / "config.json").write_text('{"model_type": "gpt2"}')
    snapshot = publish(cache, "old", tmp_path / "made")
    # What the cache knows of files that the model has not.
    missing = snapshot.parents[1] / ".no_exist" / snapshot.name
    missing.mkdir(parents=True)
    for name in ("model.safetensors", "model.safetensors.index.json"):
        (missing / name).touch()
    with pytest.raises(Refused, match=r"old holds no model\.safetensors, but pytorch_model\.bin, which is a pickle"):
        open_start({"word": "hub", "source": "old", "map": [], "skip": [], "into": None}, tmp_path)


def test_another_kind_of_model_keeps_its_names(repo: Path, tmp_path: Path) -> None:
    FAMILIES["gpt"].make().save_pretrained(tmp_path / "published")
    config = tmp_path / "published" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "other"}))
    with pytest.raises(Refused, match=r"in the file and not used: transformer\.h\.\*\.attn\.c_attn\.bias \[96\]"):
        ours(repo, "gpt", 'hub("./published")', tmp_path)


def test_a_model_inside_another(repo: Path, tmp_path: Path) -> None:
    """`specs/bert.dlspec` trains SimCSE from BERT, which is a part of it."""
    theirs = FAMILIES["bert"].make().eval()
    theirs.save_pretrained(tmp_path / "published")
    text = (repo / "specs" / "bert.dlspec").read_text().replace('hub("bert-base-uncased"', 'hub("./published"')
    model = started(program(text, FAMILIES["bert"].sizes.split()), tmp_path)
    require_equal("bert", theirs, model.get_submodule("bert"))


def as_torchvision_has_it(name: str) -> str:
    """The name of a weight of a ResNet of transformers in torchvision's files."""
    name = re.sub(r"^resnet\.embedder\.embedder\.convolution", "conv1", name)
    name = re.sub(r"^resnet\.embedder\.embedder\.normalization", "bn1", name)
    name = re.sub(r"^resnet\.encoder\.stages\.(\d)\.layers", lambda stage: f"layer{int(stage[1]) + 1}", name)
    name = re.sub(r"layer\.(\d)\.convolution", lambda layer: f"conv{int(layer[1]) + 1}", name)
    name = re.sub(r"layer\.(\d)\.normalization", lambda layer: f"bn{int(layer[1]) + 1}", name)
    name = name.replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")
    return name.replace("classifier.1", "fc")


def test_transfer_learning_starts_from_the_residual_network_as_it_is_published(repo: Path, tmp_path: Path) -> None:
    """`specs/transfer.dlspec` with the names of torchvision: with the other head put in, both see the same."""
    torch.manual_seed(3)
    sizes = [64, 128, 256, 512]
    config = transformers.ResNetConfig(hidden_sizes=sizes, depths=[2] * 4, layer_type="basic", num_labels=11)
    theirs = transformers.ResNetForImageClassification(config)
    with torch.no_grad():
        theirs.train()(torch.rand(8, 3, 64, 64))  # running statistics of their own
    theirs.eval()
    file = {as_torchvision_has_it(name): tensor for name, tensor in theirs.state_dict().items()}
    save_file(file, tmp_path / "resnet18.safetensors")
    ours = started(program((repo / "specs" / "transfer.dlspec").read_text(), ["classes=11"]), tmp_path)
    image = torch.rand(3, 3, 64, 96)
    with torch.no_grad():
        ours.get_parameter("head.weight").copy_(file["fc.weight"])
        ours.get_parameter("head.bias").copy_(file["fc.bias"])
        torch.testing.assert_close(ours(image), theirs(image).logits, atol=1e-5, rtol=1e-5)


ENCODER = """
model Encoder: (source: int[B, S]) -> (states: [B, S, dim]) {
  real = source != pad
  near = source -> bias: RelativeBias(heads, buckets = 32, distance = 128)
  source -> tok: Embedding(vocab, dim) -> encoder: repeat(depth) {
    residual { attn: SelfAttention(mask = real, score = near) }
    residual { mlp: Mlp(4 * dim) }
  } -> encoder_norm: RMSNorm as states
}

train Encoder {
  start     = hub("./published", skip = ["decoder"])
  data      = arrays("x.npz")
  loss      = mse(states, 1)
  optimizer = AdamW(lr = 1e-3)
  steps     = 2
  batch     = 2
}
"""


def test_the_encoder_of_a_larger_file(repo: Path, tmp_path: Path) -> None:
    theirs = FAMILIES["t5"].make().eval()
    theirs.save_pretrained(tmp_path / "published")
    spec = (repo / "specs" / "t5.dlspec").read_text()
    text = spec[: spec.index("model T5")] + ENCODER
    model = started(program(text, FAMILIES["t5"].sizes.split()), tmp_path)
    ids = tokens(3, 9, pad=True)
    with torch.no_grad():
        expected = theirs.encoder(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
        torch.testing.assert_close(model(ids), expected, atol=1e-5, rtol=1e-5)


def test_a_check_knows_nothing_of_it(repo: Path) -> None:
    """Neither transformers nor huggingface_hub is loaded where a spec is checked."""
    code = (
        "import sys; from dlspec.cli.main import main; main(['check', 'specs/bert.dlspec', '--quiet']); "
        "assert not {'huggingface_hub', 'transformers', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repo, check=True)
