"""Exports a trained network to ONNX, OpenVINO, torch and HTML, and compares each export with its original."""
