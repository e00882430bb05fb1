"""Working kernels with every feature a `tl.constexpr`; the compiler reads their text and never imports them."""
