"""LoRA adapters: PEFT's files, TensorRT-LLM's tensors and the layers between. NumPy, no torch."""
