"""The ONNX graph, straight from the IR through onnx_ir."""
