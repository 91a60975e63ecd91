"""Safe (behaviour-preserving) mutation operators for evolving neural networks."""

from safe_mutation.flat_network import FlatNetwork
from safe_mutation.mutation import MutationInfo
from safe_mutation.numpy_network import NumpyNetwork
from safe_mutation.operators import (
    SMGSO,
    SMR,
    DivergenceNotReached,
    GaussianMutation,
    SMGAbs,
    SMGSum,
    make,
)

__version__ = "0.1.0"

__all__ = [
    "SMGSO",
    "SMR",
    "DivergenceNotReached",
    "FlatNetwork",
    "GaussianMutation",
    "MutationInfo",
    "NumpyNetwork",
    "SMGAbs",
    "SMGSum",
    "make",
]
