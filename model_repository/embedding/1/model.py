"""Exports the model; its code is in `serving.engines.embedding_backend`."""

from serving.engines.embedding_backend import EmbeddingBackend as TritonPythonModel

__all__ = ["TritonPythonModel"]
