"""Safe (behaviour-preserving) mutation operators for evolving neural networks."""

from safe_mutation.bold_operator import BoldMutation
from safe_mutation.crossover_info import CrossoverInfo
from safe_mutation.default_operator import SafeMutation
from safe_mutation.distillation_crossover import DistillationCrossover
from safe_mutation.fisher_crossover import FisherCrossover
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.gaussian import GaussianMutation
from safe_mutation.info import DivergenceNotReached, MutationInfo
from safe_mutation.mutation import Mutation
from safe_mutation.numpy_network import NumpyNetwork
from safe_mutation.operators import make
from safe_mutation.smg import SMG, ReusableSensitivity
from safe_mutation.smg_operators import SMGSO, SMGAbs, SMGRms, SMGSum
from safe_mutation.smr import SMR

__version__ = "0.2.0.dev0"

__all__ = [
    "SMG",
    "SMGSO",
    "SMR",
    "BoldMutation",
    "CrossoverInfo",
    "DistillationCrossover",
    "DivergenceNotReached",
    "FisherCrossover",
    "FlatNetwork",
    "GaussianMutation",
    "Mutation",
    "MutationInfo",
    "NumpyNetwork",
    "ReusableSensitivity",
    "SMGAbs",
    "SMGRms",
    "SMGSum",
    "SafeMutation",
    "make",
]
