"""The CPU engine behind TensorRT-LLM's tensor contract."""
