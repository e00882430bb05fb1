"""Syntax tree to meaning to artefacts: `pipeline` shows the whole way on one screen."""
