"""Syntax to IR: every flow is placed on a value, every type is worked out, every module gets its name."""
