"""Exports the model; its code is in `serving.bls.guard_backend`."""

from serving.bls.guard_backend import GuardModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
