"""What mypy --strict must refuse, line by line (tests/test_types.py); never run."""

import numpy as np
from torch import Tensor, nn

from safe_mutation import SMGSum

op = SMGSum(nn.Linear(3, 2), sigma=0.1)
genome = np.zeros(8, np.float32)
op("nonsense")
op(genome, genome)
op(genome, experience=genome)
tensor: Tensor = op(genome)
pair: tuple[Tensor, Tensor] = op(genome, return_info=True)
op.mutate_(genome)
