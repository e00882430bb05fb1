"""What a graph becomes: PyTorch modules, an ONNX graph, a plan of sizes."""
