"""The paper's operators for those who know no sigma: set by how far founders' children diverge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evolution.breed import Birth, breed
from evolution.domain import Domain
from safe_mutation.default_operator import DIVERGENCE


def calibrated(kind: Callable[..., Any], domain: Domain) -> Any:
    """An operator of the paper, with a sigma for founders to diverge as far as by default."""
    founders = breed(domain, None, [Birth(None, 0, 0, n) for n in range(8)]).children  # type: ignore[arg-type]
    genomes = np.stack([founder.genome for founder in founders])
    seen: Any = [founder.experiences for founder in founders]
    operator = kind(domain.network, sigma=1.0)
    return operator.calibrate(genomes, divergence=DIVERGENCE, experiences=seen, per_parent=True, generator=0)
