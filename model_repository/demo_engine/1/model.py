"""Exports the model; its code is in `serving.engines.backend`."""

from serving.engines.backend import EngineModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
