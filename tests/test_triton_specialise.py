"""Specialised kernels are their templates with the constants set: the same bits, the same machine code, less text."""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import triton
import triton_attention
from torch import Tensor
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton_attention import Options, Tiles
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton import specialise_read
from dlspec.compiler.backends.triton.specialise import Specialised, specialise

GOLDEN = Path(__file__).parent / "golden"
FORWARD = "attention_forward.attention_forward"
BACKWARD = [f"attention_backward.attention_{name}" for name in ("delta", "backward_keys", "backward_queries")]
CHOSEN_AT_LAUNCH = {"BLOCK_M", "BLOCK_N", "STAGES", "LANES"}

# --- Sets of features ---

FACTORS: dict[str, tuple[Any, ...]] = {
    "causal": (False, True),
    "window": (None, 9),
    "prefix": (None, 21, "each"),
    "documents": (False, True),
    "mask": (None, "keys", "pairs"),
    "softcap": (None, 1.5),
    "weights": (False, True),
    "bias": (False, True),
    "slopes": (False, True),
    "drop": (0.0, 0.25),
    "longer": (False, True),
    "described": (False, True),
    "width": (16, 24),
    "group": (1, 2),
    "length": (32, 27),
}
Case = dict[str, Any]


def possible(case: Mapping[str, Any]) -> bool:
    """What a language or a machine rules out; `case` may have some of the factors only."""
    whole_tiles = case.get("width", 16) == 16
    return (
        not (case.get("prefix") and case.get("causal") is False)
        and not (case.get("documents") and case.get("longer"))
        and not (case.get("described") and not whole_tiles)
    )


def pairwise_cover(factors: Mapping[str, Sequence[Any]]) -> list[Case]:
    """Cases in which every possible pair of values of two factors occurs, greedily few."""
    draw = random.Random(4)
    left = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(factors, 2)
        for x, y in itertools.product(factors[a], factors[b])
        if possible({a: x, b: y})
    }
    cases: list[Case] = []
    while left:
        tries = [_case_with(factors, case, draw) for case in draw.choices(sorted(left, key=repr), k=30)]
        best = max(tries, key=lambda case: sum(pair in left for pair in itertools.combinations(case.items(), 2)))
        left -= set(itertools.combinations(best.items(), 2))
        cases.append(best)
    return cases


def _case_with(factors: Mapping[str, Sequence[Any]], pair: tuple[tuple[str, Any], ...], draw: random.Random) -> Case:
    while True:
        case = {name: draw.choice(values) for name, values in factors.items()} | dict(pair)
        if possible(case):
            return case


COVER = pairwise_cover(FACTORS)
PLAIN = {name: values[0] for name, values in FACTORS.items()}
CAUSAL = PLAIN | {"causal": True}
SOME = [CAUSAL, *COVER[:3]]


def shown(case: Case) -> str:
    return " ".join(f"{name}={value}" for name, value in case.items() if value != PLAIN[name]) or "plain"


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(case: Case) -> tuple[list[Tensor], Options, Tiles]:
    """q, k, v, d_out; what is asked for; how it is tiled."""
    T, heads = case["length"], 2
    S = T + 13 if case["longer"] else T
    shapes = [(T, heads), (S, heads // case["group"]), (S, heads // case["group"]), (T, heads)]
    tensors = [numbers(1, *shape, case["width"], seed=i) for i, shape in enumerate(shapes)]
    masks = {"keys": (1, S), "pairs": (1, T, S), None: (1,)}
    options = Options(
        causal=case["causal"],
        window=case["window"],
        prefix=torch.tensor([21], dtype=torch.int32) if case["prefix"] == "each" else case["prefix"],
        documents=torch.arange(T, dtype=torch.int32)[None] // 10 if case["documents"] else None,
        mask=numbers(*masks[case["mask"]], seed=4) > -0.5 if case["mask"] else None,
        softcap=case["softcap"],
        weights=numbers(1, heads, seed=5) if case["weights"] else None,
        bias=numbers(heads, T, S, seed=6) if case["bias"] else None,
        slopes=numbers(heads, seed=7).abs() if case["slopes"] else None,
        drop=case["drop"],
        seed=torch.tensor([5]) if case["drop"] else None,
    )
    return tensors, options, Tiles(16, 16, case["described"])


def constants(case: Case) -> dict[str, Any]:
    (q, k, _, _), options, tiles = inputs(case)
    given = triton_attention._constants(q, k, options, tiles)
    return {name: value for name, value in given.items() if name not in CHOSEN_AT_LAUNCH}


@cache
def _specialised(items: tuple[tuple[str, Any], ...]) -> Specialised:
    return specialise([FORWARD, *BACKWARD], constants(dict(items)))


def kernels(case: Case) -> Specialised:
    return _specialised(tuple(case.items()))


def file_text(kernels: Specialised) -> str:
    blank = "\n\n\n" if kernels.text.startswith("@") else "\n\n"
    return "\n".join(kernels.imports) + blank + kernels.text


# --- The same bits ---


def loaded(text: str, folder: Path, *, interpreted: bool) -> ModuleType:
    path = folder / "attention_kernels.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"kernels_{hash(text)}_{interpreted}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with knobs.runtime.scope():
        knobs.runtime.interpret = interpreted
        spec.loader.exec_module(module)
    return module


class StandIn:
    """A specialised kernel that is called as its template is: it leaves out what it no longer takes."""

    def __init__(self, kernel: Any, original: Any, parameters: Sequence[str]) -> None:
        self.kernel = kernel
        self.original = original
        self.parameters = parameters

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: Any, **named: Any) -> None:
            given = dict(zip(self.original.arg_names, arguments, strict=False)) | named
            self.kernel[grid](**{name: given[name] for name in self.parameters})

        return launch


def computed(tensors: Sequence[Tensor], options: Options, tiles: Tiles) -> list[Tensor]:
    q, k, v, d_out = tensors
    out, lse = triton_attention.forward(q, k, v, options, tiles)
    return [out, lse, *triton_attention.backward(q, k, v, out, lse, d_out, options, tiles)]


def hold_bits(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = inputs(case)
    result = kernels(case)
    module = loaded(file_text(result), folder, interpreted=True)

    def specialised(name: str) -> Any:
        originals = template(name)
        return type(
            "Kernels",
            (),
            {
                root: StandIn(getattr(module, root), getattr(originals, root), parameters)
                for root, parameters in result.parameters.items()
                if hasattr(originals, root)
            },
        )

    with interpreting():
        want = computed(*arguments)
        monkeypatch.setattr(triton_attention, "template", specialised)
        found = computed(*arguments)
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        assert not torch.isnan(a).any()
        assert torch.equal(a, b)


@pytest.mark.parametrize("case", SOME, ids=shown)
def test_the_same_bits_as_the_template(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_bits(case, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("case", COVER[3:], ids=shown)
def test_the_same_bits_over_a_pairwise_cover(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_bits(case, tmp_path, monkeypatch)


# --- The same machine code ---

POINTERS = {
    **dict.fromkeys(("q", "k", "v", "d_out", "out", "d_q_out", "d_k_out", "d_v_out", "bias"), "*bf16"),
    **dict.fromkeys(("lse", "delta", "slopes", "weights", "d_weights"), "*fp32"),
    **dict.fromkeys(("prefixes", "documents", "spans"), "*i32"),
    "mask": "*i1",
    "seeds": "*i64",
}
FLOATS = {"scale", "cap", "drop"}


def machine_code(kernel: Any, parameters: Sequence[str], constants: Mapping[str, Any]) -> bytes:
    """For sm_90. What is not among `parameters` is set, to nothing where it is no constant."""
    given = {"BLOCK_M": 64, "BLOCK_N": 32, "STAGES": 2, "LANES": 1, **constants}
    signature, fixed, attributes = {}, {}, {}
    for i, parameter in enumerate(kernel.params):
        name = parameter.name
        if parameter.is_constexpr or name not in parameters:
            signature[name] = "constexpr"
            fixed[name] = given.get(name, 0 if name not in POINTERS else None)
        elif name in ("q", "k", "v", "d_out") and constants.get("DESCRIBED"):
            rows = given["BLOCK_M" if name in ("q", "d_out") else "BLOCK_N"]
            signature[name] = f"tensordesc<bf16[{rows}, {constants['WIDTH']}]>"
        else:
            signature[name] = POINTERS.get(name, "fp32" if name in FLOATS else "i32")
            if name in POINTERS or name.endswith("_row"):
                attributes[i,] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=attributes)
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2})
    return compiled.asm["cubin"]


def hold_machine_code(case: Case, folder: Path, roots: Sequence[str]) -> None:
    result = kernels(case)
    module = loaded(file_text(result), folder, interpreted=False)
    for root in roots:
        name, function = root.split(".")
        parameters = result.parameters[function]
        original = getattr(template(name, interpreted=False), function)
        taken = {name: value for name, value in constants(case).items() if name in original.arg_names}
        want = machine_code(original, parameters, taken)
        assert machine_code(getattr(module, function), parameters, taken) == want, function


@pytest.mark.parametrize("case", SOME[:2], ids=shown)
def test_the_same_machine_code_as_the_template(case: Case, tmp_path: Path) -> None:
    hold_machine_code(case, tmp_path, [FORWARD, BACKWARD[2]])


@pytest.mark.slow
@pytest.mark.parametrize("case", [CAUSAL, *COVER], ids=shown)
def test_the_same_machine_code_over_a_pairwise_cover(case: Case, tmp_path: Path) -> None:
    hold_machine_code(case, tmp_path, [FORWARD, *BACKWARD])


# --- The text ---


def test_what_is_not_asked_for_is_not_there() -> None:
    words = {
        "softcap": ("tanh", "cap"),
        "weights": (r"\bweights\b", "def score"),
        "bias": ("bias",),
        "slopes": ("slopes", "tl.abs"),
        "drop": ("randint", "seed", "drop", "kept"),
        "window": ("window",),
        "prefix": ("prefix",),
        "documents": ("documents", "spans"),
        "mask": (r"\bmask[ ,+]",),
        "described": (r"source\.load",),
    }
    for case in (PLAIN, CAUSAL, *COVER):
        text = re.sub(r'"""(?s:.*?)"""|#.*', "", kernels(case).text)
        for factor, patterns in words.items():
            shared = "tl.abs" if case["window"] or case["weights"] else ""
            for pattern in patterns:
                if case[factor] == PLAIN[factor] and pattern != shared:
                    assert not re.search(pattern, text), (factor, pattern, text)
        left = set(re.findall(r"\b[A-Z][A-Z_]{2,}\b", text)) - CHOSEN_AT_LAUNCH
        assert left <= {"WIDTH", "PADDED", "GROUP", "ROWS", "MASKED", "INSIDE"}, left


def test_the_layout_is_ruffs_and_its_defaults_find_nothing(tmp_path: Path) -> None:
    for i, case in enumerate((PLAIN, CAUSAL, *COVER)):
        (tmp_path / f"kernels_{i}.py").write_text(file_text(kernels(case)), encoding="utf-8")
    hold_layout(tmp_path)


def hold_layout(folder: Path) -> None:
    for command in (["format", "--diff"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_plain_causal_attention_is_the_golden_file() -> None:
    assert file_text(kernels(CAUSAL | {"width": 64})) == (GOLDEN / "attention_kernels.py").read_text(encoding="utf-8")


def test_a_docstring_names_no_feature_that_is_not_there() -> None:
    for case in (PLAIN, CAUSAL, *COVER):
        text = kernels(case).text
        assert set(FEATURES.findall(text)) <= {"MASKED", "INSIDE"}


FEATURES = re.compile(
    r"\b(?:DESCRIBED|RAGGED|SHIFTED|CAUSAL|WINDOW|ONE_SIDED|PREFIX|PREFIX_EACH|DOCUMENTS|KEY_MASK|PAIR_MASK|SOFTCAP"
    r"|SCORE|BIAS|ALIBI|DROPOUT|MASKED|INSIDE)\b"
)


def templates() -> list[str]:
    """Those of kernels; some are plain functions."""
    found = sorted(path for path in specialise_read.TEMPLATES.glob("*.py") if path.stem != "__init__")
    return [path.stem for path in found if "import torch" not in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", templates())
def test_every_template_is_in_the_dialect(name: str, tmp_path: Path) -> None:
    """Whatever is fixed: nothing, when no comment is lost, or all that an `if` reads, to true or to false."""
    text = (specialise_read.TEMPLATES / f"{name}.py").read_text(encoding="utf-8")
    tested = set(re.findall(r"\b[A-Z][A-Z_]+\b", " ".join(re.findall(r"\bif (.*):$", text, re.MULTILINE))))
    for root, parameters in re.findall(r"^def (\w+)\(([^()]*)\)", text, re.MULTILINE):
        features = tested & set(re.findall(r"(\w+): tl\.constexpr", parameters)) - {"WIDTH", "PADDED", "BLOCK"}
        for value in (None, False, True):
            fixed = {} if value is None else dict.fromkeys(features, value)
            text_of_root = file_text(specialise([f"{name}.{root}"], fixed))
            (tmp_path / f"{root}_{value}.py").write_text(text_of_root, encoding="utf-8")
    whole = " ".join(words(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*_None.py"))
    for comment in re.findall(r"# (.*)", text):
        assert comment == "fmt: skip" or words(comment) in whole
    hold_layout(tmp_path)


def words(text: str) -> str:
    """Without marks of comments and line ends, at which they may be filled anew."""
    return " ".join(re.sub(r"^ *# ", "", text, flags=re.MULTILINE).split())


# --- The rules, on small templates ---

HEAD = "import triton\nimport triton.language as tl\n\n\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What becomes of a template: its functions' text, without decorators."""
    monkeypatch.setattr(specialise_read, "TEMPLATES", tmp_path)

    def made(text: str, constants: Mapping[str, Any], replaced: Mapping[str, str] | None = None) -> str:
        (tmp_path / "one.py").write_text(HEAD + text.replace("def ", "@triton.jit\ndef "), encoding="utf-8")
        return specialise(["one.kernel"], constants, replaced).text.replace("@triton.jit\n", "")

    return made


def test_a_constant_is_followed_under_another_name(small: Callable[..., str]) -> None:
    text = """
def tile(x, ROWS: tl.constexpr, WIDE: tl.constexpr, LAST: tl.constexpr):
    if WIDE and not LAST:
        return tl.load(x + tl.arange(0, ROWS)) * 2
    return tl.load(x)


def kernel(x, y, N: tl.constexpr, DOUBLE: tl.constexpr):
    tl.store(y, tile(x, N, DOUBLE, False) + tile(x, N, not not DOUBLE, False))
"""
    assert (
        small(text, {"DOUBLE": True, "N": 8})
        == """\
N = tl.constexpr(8)


def tile(x):
    return tl.load(x + tl.arange(0, N)) * 2


def kernel(x, y):
    tl.store(y, tile(x) + tile(x))
"""
    )


def test_where_callers_differ_the_parameter_stays(small: Callable[..., str]) -> None:
    text = """
def tile(x, FAST: tl.constexpr, MASKED: tl.constexpr):
    if MASKED or FAST:
        return tl.load(x)
    else:
        return 0.0


def kernel(x, y, FAST: tl.constexpr):
    tl.store(y, tile(x, FAST, True) + tile(x, FAST, False))
"""
    assert (
        small(text, {"FAST": False})
        == """\
def tile(x, MASKED: tl.constexpr):
    if MASKED:
        return tl.load(x)
    else:
        return 0.0


def kernel(x, y):
    tl.store(y, tile(x, True) + tile(x, False))
"""
    )


def test_elif_is_folded_in_every_place(small: Callable[..., str]) -> None:
    text = """
def kernel(x, y, n, A: tl.constexpr, B: tl.constexpr):
    if n > 3:
        # Many.
        tl.store(y, 1)
    elif A:
        # Few, and A.
        tl.store(y, x)
    elif B:
        tl.store(y, 2)
    else:
        tl.store(y, 3)
"""
    body = "def kernel(y, n):\n    if n > 3:\n        # Many.\n        tl.store(y, 1)\n"
    assert small(text, {"A": False, "B": True}) == f"{body}    else:\n        tl.store(y, 2)\n"
    assert small(text, {"A": False}) == (
        f"{body.replace('(y, n)', '(y, n, B: tl.constexpr)')}"
        "    elif B:\n        tl.store(y, 2)\n    else:\n        tl.store(y, 3)\n"
    )
    with_a = body.replace("(y, n)", "(x, y, n)")
    assert small(text, {"A": True, "B": True}) == f"{with_a}    else:\n        # Few, and A.\n        tl.store(y, x)\n"


def test_what_is_stored_stays_and_what_is_only_computed_goes(small: Callable[..., str]) -> None:
    text = """
def count(counter):
    tl.atomic_add(counter, 1)
    return 0


def pair(x):
    return x + 1, x * 2


def kernel(x, counter, slopes, y, ON: tl.constexpr):
    slope = 0.0
    if ON:
        slope = tl.load(slopes)
    _ = count(counter)
    old = tl.atomic_add(counter, 2)
    unused, used = pair(x)
    for i in range(4):
        slope = slope + i
    tl.store(y, used)
    if ON:
        tl.store(y + 1, slope)
"""
    assert (
        small(text, {"ON": False})
        == """\
def count(counter):
    tl.atomic_add(counter, 1)
    return 0


def pair(x):
    return x * 2


def kernel(x, counter, y):
    _ = count(counter)
    old = tl.atomic_add(counter, 2)
    used = pair(x)
    tl.store(y, used)
"""
    )
    assert "    slope = tl.load(slopes)\n" in small(text, {"ON": True})
    assert "slope = 0.0" not in small(text, {"ON": True})


def test_copies_are_read_where_they_come_from(small: Callable[..., str]) -> None:
    text = """
def same(x, y):
    return x


def slope(x):
    return 1.0


def kernel(x, y, n, GROUP: tl.constexpr):
    first = n // GROUP

    last = first
    low = 0
    low = tl.maximum(low, last)
    for member in range(GROUP):
        head = first * GROUP + member
        kept = low
        low = low + head
        tl.store(y + same(kept, x), low)
"""
    assert (
        small(text, {"GROUP": 1})
        == """\
def kernel(y, n):
    low = tl.maximum(0, n)
    kept = low
    low = low + n
    tl.store(y + kept, low)
"""
    )
    assert "range(GROUP)" in small(text, {"GROUP": 2})


def test_a_function_is_replaced_with_what_it_brings(small: Callable[..., str]) -> None:
    text = """
def score(s, weights):
    return s


def kernel(x, y, weights):
    tl.store(y, score(tl.load(x), weights))
"""
    given = """
CAP = tl.constexpr(30.0)


@triton.jit
def clipped(x):
    return tl.minimum(x, CAP)


@triton.jit
def score(s, weights):
    return (
        clipped(s)
    )
"""
    assert (
        small(text, {}, {"score": given})
        == """\
CAP = tl.constexpr(30.0)


def clipped(x):
    return tl.minimum(x, CAP)


def score(s):
    return clipped(s)


def kernel(x, y):
    tl.store(y, score(tl.load(x)))
"""
    )


def test_mistakes_of_the_compiler_are_told() -> None:
    with pytest.raises(KeyError, match="no template called attention"):
        specialise(["attention.forward"], {})
    with pytest.raises(KeyError, match="no function forward in the template attention_forward"):
        specialise(["attention_forward.forward"], {})
    with pytest.raises(ValueError, match=r"template\.function, and not attention_forward"):
        specialise(["attention_forward"], {})
    with pytest.raises(ValueError, match="no constant CAUSL in"):
        specialise([FORWARD], {"CAUSL": True})
    with pytest.raises(KeyError, match="scores is replaced, but not called by attention_forward"):
        specialise([FORWARD], {}, {"scores": "def scores(): ..."})
    with pytest.raises(ValueError, match="what replaces score takes 1 arguments, and its callers pass 6"):
        specialise([FORWARD], {}, {"score": "def score(s):\n    return s\n"})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    tl.store(x, [i for i in range(3)])", "no ListComp"),
        ("    with x:\n        pass", "no With"),
        ("    N = 3\n    tl.store(x, N)", "sets N, which is a constant"),
        ("    a = 1; tl.store(x, a)", "a statement a line"),
    ],
)
def test_a_template_out_of_the_dialect_is_told(small: Callable[..., str], body: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        small(f"def kernel(x, N: tl.constexpr):\n{body}\n", {"N": 2})


def test_the_text_does_not_depend_on_hashes(repo: Path) -> None:
    program = (
        "from dlspec.compiler.backends.triton.specialise import specialise\n"
        f"print(specialise({[FORWARD, *BACKWARD]}, {constants(CAUSAL)}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "77")
    }
    assert len(outputs) == 1
