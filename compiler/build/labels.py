"""Labels become attributes of an `nn.Module`, so some names cannot be had."""

from __future__ import annotations

import keyword

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.report import Report

# What `nn.Module` and the emitted classes have already; a test compares this with PyTorch.
TAKEN = frozenset(
    """
    T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules
    mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule
    share_memory state_dict to to_empty train training type xpu zero_grad
    init_weights tie_weights update_copies
    """.split()
)


FILE_NAMES = frozenset({"Config", "Tensor", "F", "Callable"})
"""What an emitted file imports or defines itself, with a capital first letter."""


def check_name(name: tree.Name, report: Report) -> None:
    """Reports a name that emitted Python cannot have as a variable, argument or class, and offers another."""
    text = name.text
    if keyword.iskeyword(text):
        owner, other = "a word of Python", f"{text}_"
    elif text in FILE_NAMES:
        owner, other = "a name that every emitted file has already", f"{text}Net"
    else:
        return
    report.error(
        "taken-name",
        f"`{text}` is {owner}, so nothing that is emitted can be called so",
        name.span,
        "cannot be a name here",
        help=f"write `{other}`",
        fixes=(Fix(name.span, other),),
    )


def free_stem(stem: str) -> str:
    """What a module without a label is called after its layer or block, where PyTorch or Python has that name."""
    return f"{stem}_layer" if stem in TAKEN or keyword.iskeyword(stem) else stem


def check_label(name: tree.Name, report: Report) -> None:
    """Reports a label that Python or PyTorch has taken, and offers another."""
    text = name.text
    if keyword.iskeyword(text) or keyword.issoftkeyword(text):
        owner = "a word of Python"
    elif text in TAKEN:
        owner = "an attribute of every PyTorch module"
    elif text.startswith("_"):
        report.error(
            "taken-label",
            "a label is an attribute of the emitted class, where `_` in front hides it",
            name.span,
            "begins with `_`",
            help=f"write `{text.lstrip('_') or 'block'}`",
            fixes=(Fix(name.span, text.lstrip("_") or "block"),),
        )
        return
    else:
        return
    other = f"{text}_layer"
    report.error(
        "taken-label",
        f"`{text}` is {owner}, so no module can be called so",
        name.span,
        "cannot be a label",
        help=f"write `{other}`",
        fixes=(Fix(name.span, other),),
    )
