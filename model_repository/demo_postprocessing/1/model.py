"""Exports the model; its code is in `serving.bls.ensemble_backend`."""

from serving.bls.ensemble_backend import PostprocessingModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
