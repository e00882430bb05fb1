"""Triton kernels: working templates, evaluated partially for what a spec asks for."""
