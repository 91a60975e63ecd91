"""How a domain becomes a Gymnasium environment.

A domain is written once, as **lanes**: N independent copies of it in arrays with a leading lane axis, and a
kernel that advances them (the `Lanes` protocol below says exactly what a domain provides). Everything
Gymnasium asks for on top is in this file and in `lane_vector_env.py`, and is the same for every domain:

* `LaneEnv` is an `Env` around one lane: the same kernel, so a single environment and a vector lane agree bit
  for bit.
* `LaneVectorEnv` is a `VectorEnv` around N lanes: the three autoreset modes, lane i seeded with `seed + i`,
  `reset_mask`, and info arrays with their masks, as `gymnasium.vector.SyncVectorEnv` gives them.

A new domain therefore is one module, for which `hard_maze.py` is the pattern, with

* a class with the methods of `Lanes`,
* its settings: a dataclass that documents each argument and whose `make_lanes` makes the lanes,
* two classes, NAMEEnv and NAMEVectorEnv, that inherit from the settings and from `LaneEnv` or `LaneVectorEnv`
  and add no more than a docstring, the type of their `lanes` and, if 30 frames a second do not suit,
  `render_fps`;

and, where the tests of every registered environment (`tests/test_env_*.py`) ask for them,

* one `_register` line in `gym_safemaze/__init__.py`,
* its keys in `CONTROLS` of `play.py`,
* a page in `docs/` that begins `# safemaze/NAME-v0`, has the headings Observation, Action, Reward, Start and
  end, Info, Arguments, Source and Version history, and tables of its info keys and its arguments; and a line
  in the package's README.

What all domains promise their users:

* info always has `fitness`, `solved`, `behavior` (D,) float32 and `steps`, and always the same keys;
* rewards telescope: those of an episode add up to the last fitness minus the first, by default;
* episodes terminate at their horizon and are not truncated;
* pictures for people are at least 200 pixels wide or high and always of the same size;
* a refused argument, reset or action leaves everything as it was.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from gym_safemaze.checks import check_actions, check_choice, check_options, check_seed
from gym_safemaze.window import Window

Options = dict[str, Any]
Mask = NDArray[np.bool_]
StepResult = tuple[NDArray[np.float64], Mask, Mask]

RENDER_MODES = ["human", "rgb_array"]

#: All lanes, where a mask would name some of them.
EVERY = slice(None)


class Lanes(Protocol):
    """N independent copies of one domain. Lanes know no autoreset, no seeds and no Gymnasium class.

    Attributes:
        num_lanes: N.
        observation_space: the space of one lane's observation.
        action_space: the space of one lane's action.
        reset_options: the names `reset` accepts in its options.
    """

    num_lanes: int
    observation_space: gym.Space
    action_space: gym.Space
    reset_options: tuple[str, ...]

    def reset(self, mask: Mask, generator: Callable[[int], np.random.Generator], options: Options) -> None:
        """Start a new episode in the lanes of `mask` (N,).

        Args:
            mask: the lanes to reset; the others must stay as they are.
            generator: gives lane i's random generator. Draw from it only for lanes of `mask`, and lane by
                lane, so that a lane's episode depends on its own seed alone.
            options: only names in `reset_options`. Values meant for one lane or for all; check them before
                any change.
        """

    def step(self, actions: NDArray, active: Mask) -> StepResult:
        """Advance the lanes of `active` (N,) by one action each; the others must stay as they are.

        Args:
            actions: (N, ...) of the action space's shape and dtype, without NaN; Discrete ones are in range,
                continuous ones may be outside their bounds.
            active: the lanes to advance; rows of other lanes in the results may hold anything.

        Returns:
            Rewards (N,) float64, terminated (N,), truncated (N,): arrays of their own, never handed out a
            second time.
        """

    def observe(self, lanes: slice | Mask) -> NDArray:
        """Return the observations (M, ...) of the M lanes of a mask (N,), or of `EVERY` lane.

        They are in an array of their own.
        """

    def info(self) -> dict[str, NDArray]:
        """Return the info arrays (N, ...), always with the same keys, in arrays of their own."""

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of one lane for people to look at."""


@dataclass(eq=False)
class LaneEnv(gym.Env):
    """One lane as a Gymnasium environment. A domain's Env inherits from its settings and from this.

    Args:
        render_mode: None, "rgb_array" or "human".
    """

    _: KW_ONLY
    render_mode: str | None = None
    lanes: Any = field(init=False, repr=False)

    metadata = {"render_modes": RENDER_MODES, "render_fps": 30}

    def __post_init__(self) -> None:
        check_choice("render_mode", self.render_mode, (None, *RENDER_MODES))
        self.lanes = self.make_lanes(1, self.render_mode is not None)
        self.observation_space = self.lanes.observation_space
        self.action_space = self.lanes.action_space
        self._action_shape = self.action_space.shape
        self._window = Window()
        self._all = np.ones(1, dtype=np.bool_)
        self._started = self._running = False

    def make_lanes(self, num_lanes: int, drawn: bool) -> Lanes:
        """Make `num_lanes` lanes; `drawn` tells whether pictures of them will be asked for."""
        raise NotImplementedError("the settings of a domain make its lanes")

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seed of the episode's random numbers; None continues with the environment's own.
            options: the domain's own reset options.

        Returns:
            The first observation, and info.

        Raises:
            ValueError: for a seed that is no integer of at least 0, for an option the domain does not know or
                whose value does not suit it.
        """
        chosen = check_options(options, self.lanes.reset_options)
        seed = check_seed(seed)
        before = self._np_random, self._np_random_seed
        super().reset(seed=seed)
        try:
            self.lanes.reset(self._all, lambda lane: self.np_random, chosen)
        except Exception:  # a refused reset leaves everything as it was
            self._np_random, self._np_random_seed = before
            raise
        self._started = self._running = True
        if self.render_mode == "human":
            self._show()
        return self.lanes.observe(EVERY)[0], self._info()

    def step(self, action: Any) -> tuple[NDArray, float, bool, bool, dict[str, Any]]:
        """Take one action.

        Raises:
            ValueError: for an action outside the action space (continuous ones are clamped instead), or NaN.
            gymnasium.error.ResetNeeded: before the first reset and after the end of an episode.
        """
        if not self._running:
            raise ResetNeeded("this episode is over or was never started: call reset() first")
        actions = check_actions(action, self.action_space, self._action_shape)[np.newaxis]
        rewards, terminated, truncated = self.lanes.step(actions, self._all)
        over, cut = terminated.item(), truncated.item()
        self._running = not (over or cut)
        if self.render_mode == "human":
            self._show()
        return self.lanes.observe(EVERY)[0], rewards.item(), over, cut, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """Return the picture (height, width, 3) in mode "rgb_array"; show it in a window in mode "human".

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" or "human" when the environment is made')
            return None
        if not self._started:
            raise ResetNeeded("no episode was started: call reset() first")
        if self.render_mode == "human":
            self._show()
            return None
        return self.lanes.draw(0)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _show(self) -> None:
        self._window.show(self.lanes.draw(0), self.metadata["render_fps"])

    def _info(self) -> dict[str, Any]:
        info = self.lanes.info()
        return {key: values[0] if values.ndim > 1 else values.item() for key, values in info.items()}
