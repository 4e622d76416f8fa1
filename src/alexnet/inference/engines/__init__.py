"""The engines that run a saved model: torch, ONNX Runtime and OpenVINO behind one interface, numpy on both sides."""
