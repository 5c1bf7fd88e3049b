"""Exports the model; its code is in `serving.bls.backend`."""

from serving.bls.backend import BlsModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
