"""The operator to begin with. Its base class and the two numbers below are all that there is to choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from safe_mutation.arguments import documented
from safe_mutation.intensity import Divergence
from safe_mutation.mutation import Mutation
from safe_mutation.smg_operators import SMGSO

DIVERGENCE = 0.03
TOLERANCE = 0.25  # of the divergence: a quarter more or less changes nothing, and saves passes


@documented
@dataclass(frozen=True)
class SafeMutation(SMGSO):
    """The operator to begin with: nothing to tune, the same for every network.

    A child is w + m delta / s with s = sqrt( |H delta| ), H the Hessian of the divergence (equation 1) at the
    parent: the direction of SM-G-SO (section 3.2 of the paper), and m > 0 the length for which the child's
    outputs have diverged by 0.03 on the experiences. Sensitivities below a tenth of their root mean square
    are raised to about that. No constant of a network is in it, and the scale of its weights cancels.

    The scale of the outputs does not: 0.03 is for outputs between 0 and 1 or -1 and 1, squashed actions or
    the probabilities of several. Give logits a softmax, and unbounded actions the limits of their space:
    ``SafeMutation(nn.Sequential(policy, nn.Softmax(-1)))``; or another divergence.

    A child takes a forward and a backward pass, a forward pass for H delta, and two to four of the search,
    or about a dozen where outputs leap.
    """

    divergence: Divergence | None = field(
        default=DIVERGENCE, kw_only=True, metadata=Mutation.__dataclass_fields__["divergence"].metadata
    )
    tolerance: float = field(
        default=TOLERANCE, kw_only=True, metadata=Mutation.__dataclass_fields__["tolerance"].metadata
    )
