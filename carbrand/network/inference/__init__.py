"""Inference without Keras: OpenVINO, and networks written as ONNX. Begin with `engines.py`."""
