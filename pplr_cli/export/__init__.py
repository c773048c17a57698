"""Write a trained network for other programs: ONNX, safetensors, TorchScript."""
