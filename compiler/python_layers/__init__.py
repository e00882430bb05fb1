"""Layers written in Python: `import "wavelet.py"` brings the classes of a file of plain PyTorch into a spec.

signature   what a file says of its layers without being run: names, options, documentation (`ast`)
execute     running the file, once, where that was allowed; its faults at its own lines
dims        the dims that a shape rule works with
trial       what PyTorch says: weights of the module, and its shapes at two sizes of the open dims
layer       all of it as a layer like any other
"""
