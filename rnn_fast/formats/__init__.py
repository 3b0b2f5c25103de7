"""Models in the formats of others: PyTorch, ONNX, Keras, Flax, C and more; one module each."""
