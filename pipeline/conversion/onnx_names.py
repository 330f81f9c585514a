"""How the input and the output of the ONNX files are called."""

INPUT, OUTPUT = "images", "probabilities"
