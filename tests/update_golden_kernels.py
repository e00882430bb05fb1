"""Writes what is emitted now into the golden files with kernels:  python tests/update_golden_kernels.py

For after emitted code was changed on purpose; the difference that git shows is to be read as code.
"""

from __future__ import annotations

from golden_kernels import FILES, GOLDEN

if __name__ == "__main__":
    for name, emitted in FILES.items():
        path, text = GOLDEN / name, emitted()
        if not path.exists() or text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"rewritten: golden/{name}")
