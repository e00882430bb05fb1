"""The language server: what editors show of a spec while it is written.

`server.py` and `protocol.py` speak the protocol, with pygls; everything else works on texts and offsets and knows no
editor.
"""
