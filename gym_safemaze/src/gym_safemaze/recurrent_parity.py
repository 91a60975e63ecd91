"""safemaze/RecurrentParity-v0: bits come one at a time; after the last, was the number of ones odd?"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from gym_safemaze.checks import as_array, check_choice, check_count, is_integer
from gym_safemaze.drawing import BREADCRUMBS, GOAL, INK, ROBOT, SENSOR, TRAJECTORY, Canvas
from gym_safemaze.lane_vector_env import LaneVectorEnv
from gym_safemaze.lanes import LaneEnv, Mask, Options, StepResult
from gym_safemaze.settings import documented

ORDERS = ("random", "sequential")
ACTION_MODES = ("discrete", "probabilities")

#: Bits shown in a picture.
DRAWN_BITS = 16

#: The least probability whose logarithm is taken: the smallest a float32 softmax gives before it underflows.
LEAST = float(np.finfo(np.float32).tiny)


def bits_of(numbers: NDArray, length: int) -> NDArray[np.int8]:
    """Write numbers (N,), int64 or Python's, as bit strings (N, length), the most significant bit first."""
    shifts = np.arange(length)[::-1]
    if numbers.dtype != np.object_:
        shifts = np.minimum(shifts, 63)  # the most that a number of 64 bits can be shifted by
    return (numbers[:, np.newaxis] >> shifts & 1).astype(np.int8)


def answer_probabilities(actions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the normalised probabilities (N, 2) of even and odd; all zeros count as undecided."""
    weights = np.clip(actions.astype(np.float64), 0.0, 1.0)
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.full_like(weights, 0.5), where=total > 0)


@dataclass(eq=False)
class RecurrentParitySettings:
    """What can be chosen about recurrent parity.

    Args:
        length: bits of a string.
        order: "random" draws strings; "sequential" counts 0000, 0001, 0010, ..., and starts again after a
            new seed. Lanes of a vector environment count together, so that 16 lanes have the sixteen strings
            of four bits in every episode, in order.
        action_mode: "discrete" takes 0 for even and 1 for odd and scores 1 or 0; "probabilities" takes
            weights of even and odd, normalises them and scores the logarithm of the probability of the right
            answer.

    Raises:
        ValueError: for an argument out of range.
    """

    length: int = 4
    _: KW_ONLY
    order: str = "random"
    action_mode: str = "discrete"

    def make_lanes(self, num_lanes: int, drawn: bool) -> "RecurrentParityLanes":
        """Make `num_lanes` readers of bit strings."""
        return RecurrentParityLanes(num_lanes, self)


class RecurrentParityLanes:
    """N bit strings, each read by its own agent (see `gym_safemaze.lanes.Lanes`).

    Args:
        num_lanes: N.
        settings: what the caller chose.
    """

    reset_options: tuple[str, ...] = ("sequence", "number")

    def __init__(self, num_lanes: int, settings: RecurrentParitySettings) -> None:
        check_choice("order", settings.order, ORDERS)
        check_choice("action_mode", settings.action_mode, ACTION_MODES)
        self.num_lanes = check_count("num_envs", num_lanes)
        self.length = check_count("length", settings.length)
        self.order, self.action_mode = settings.order, settings.action_mode
        self.observation_space: Space = Box(0.0, 1.0, (1,), np.float32)
        self.action_space: Space = (
            Discrete(2) if self.action_mode == "discrete" else Box(0.0, 1.0, (2,), np.float32)
        )
        self.bits = np.zeros((self.num_lanes, self.length), dtype=np.int8)
        self.label = np.zeros(self.num_lanes, dtype=np.int64)
        self.steps = np.zeros(self.num_lanes, dtype=np.int32)
        self.odd = np.full(self.num_lanes, 0.5)
        self.fitness = np.zeros(self.num_lanes)
        self.solved = np.zeros(self.num_lanes, dtype=np.bool_)
        self._next = [0] * self.num_lanes
        self._generators: list[np.random.Generator | None] = [None] * self.num_lanes

    def reset(self, mask: Mask, generator: Callable[[int], np.random.Generator], options: Options) -> None:
        """Give the lanes of `mask` new strings, or those of option "sequence" or "number"."""
        bits = self._chosen_bits(options)
        if bits is not None:
            self.bits[mask] = bits[mask]
        elif self.order == "random":
            for lane in np.flatnonzero(mask).tolist():
                self.bits[lane] = generator(lane).integers(0, 2, self.length, dtype=np.int8)
        else:
            numbers = np.array([self._count(lane, generator(lane)) for lane in np.flatnonzero(mask).tolist()])
            self.bits[mask] = bits_of(numbers, self.length)
        self.label[mask] = self.bits[mask].sum(axis=1, dtype=np.int64) % 2
        self.steps[mask] = 0
        self.odd[mask] = 0.5
        self.fitness[mask] = 0.0
        self.solved[mask] = False

    def _count(self, lane: int, generator: np.random.Generator) -> int:
        """Return the number of the lane's next string: N lanes count together; a new seed starts again."""
        if generator is not self._generators[lane]:
            self._generators[lane], self._next[lane] = generator, lane % 2**self.length
        number = self._next[lane]
        self._next[lane] = (number + self.num_lanes) % 2**self.length
        return number

    def _chosen_bits(self, options: Options) -> NDArray[np.int8] | None:
        if "sequence" in options and "number" in options:
            raise ValueError("expected one of the reset options 'sequence' and 'number', got both")
        if "sequence" in options:
            shapes = (self.length,), (self.num_lanes, self.length)
            bits = as_array("option 'sequence'", options["sequence"], f"of shape {shapes[0]} or {shapes[1]}")
            if bits.shape not in shapes or bits.dtype.kind not in "biu" or not np.isin(bits, (0, 1)).all():
                raise ValueError(
                    f"expected option 'sequence' of zeros and ones, of shape {shapes[0]} or {shapes[1]}, "
                    f"got {options['sequence']!r}"
                )
            return np.broadcast_to(bits.astype(np.int8), shapes[1])
        if "number" in options:
            numbers = np.array(options["number"], dtype=np.object_)  # no integer is too large for that
            fits = all(is_integer(n) and 0 <= int(n) < 2**self.length for n in numbers.flat)
            if numbers.shape not in ((), (self.num_lanes,)) or not fits:
                raise ValueError(
                    f"expected option 'number' to be integers in [0, 2**{self.length}), one for all lanes or "
                    f"of shape ({self.num_lanes},), got {options['number']!r}"
                )
            return bits_of(np.broadcast_to(numbers, self.num_lanes), self.length)
        return None

    def step(self, actions: NDArray, active: Mask) -> StepResult:
        """Take the active lanes' answers, which count where the string has ended, and show the next bit."""
        if self.action_mode == "probabilities":
            probabilities = answer_probabilities(actions)
        else:
            probabilities = np.stack([actions == 0, actions == 1], axis=1).astype(np.float64)
        self.steps += active
        over = self.steps >= self.length
        counts = over & active
        right = probabilities[np.arange(self.num_lanes), self.label]
        rewards = right if self.action_mode == "discrete" else np.log(np.maximum(right, LEAST))
        rewards = np.where(counts, rewards, 0.0)
        self.odd = np.where(active, probabilities[:, 1], self.odd)
        self.fitness = np.where(counts, rewards, self.fitness)
        self.solved |= counts & (right > 0.5)
        return rewards, over, np.zeros_like(over)

    def observe(self, lanes: slice | Mask) -> NDArray[np.float32]:
        """Return the current bits (M, 1) of some lanes, 0 after the last."""
        steps, bits = self.steps[lanes], self.bits[lanes]
        current = bits[np.arange(len(steps)), np.minimum(steps, self.length - 1)]
        return np.where(steps < self.length, current, 0).astype(np.float32)[:, np.newaxis]

    def info(self) -> dict[str, NDArray]:
        """Return fitness, solved, steps, label (N,), sequence (N, length) and behavior (N, 1).

        The behavior is the probability of odd in the latest answer, 0.5 before the first.
        """
        return {
            "fitness": self.fitness.copy(),
            "solved": self.solved.copy(),
            "behavior": self.odd.astype(np.float32)[:, np.newaxis],
            "steps": self.steps.copy(),
            "sequence": self.bits.copy(),
            "label": self.label.copy(),
        }

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return a picture of the string, the current bit on a blue ground, above the latest answer.

        The bar is as long as odd is probable; after the last bit it is green if right, orange if wrong. Of a
        string that is too long, the part around the current bit is shown.
        """
        time = int(self.steps[lane])
        over = time >= self.length
        first = max(0, min(time - DRAWN_BITS // 2, self.length - DRAWN_BITS))
        bits = self.bits[lane, first : first + DRAWN_BITS]
        width = max(len(bits), 3) * 20.0
        canvas = Canvas(width, 40.0, scale=3.0)
        if not over:
            canvas.rectangle(((time - first) * 20.0, 0.0), 20.0, 20.0, SENSOR)
        for i, bit in enumerate(bits):
            color = INK if first + i <= time else BREADCRUMBS
            if bit:
                canvas.line([(i * 20.0 + 10.0, 4.5), (i * 20.0 + 10.0, 15.5)], color, 2.5)
            else:
                canvas.ring((i * 20.0 + 10.0, 10.0), 6.0, color, 2.5)
        answer = (GOAL if self.solved[lane] else TRAJECTORY) if over else ROBOT
        canvas.rectangle((0.0, 27.0), width, 8.0, BREADCRUMBS)
        canvas.rectangle((0.0, 27.0), width * float(self.odd[lane]), 8.0, answer)
        return canvas.picture()


@documented
@dataclass(eq=False)
class RecurrentParityEnv(RecurrentParitySettings, LaneEnv):
    """One bit string per episode. docs/recurrent_parity.md of this package has the whole description."""

    metadata = {**LaneEnv.metadata, "render_fps": 4}
    lanes: RecurrentParityLanes = field(init=False, repr=False)


@documented
@dataclass(eq=False)
class RecurrentParityVectorEnv(RecurrentParitySettings, LaneVectorEnv):
    """N bit strings per episode, read together."""

    metadata = {**LaneVectorEnv.metadata, "render_fps": 4}
    lanes: RecurrentParityLanes = field(init=False, repr=False)
