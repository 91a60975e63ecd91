"""How a domain becomes a Gymnasium environment.

A domain is written once, as **lanes**: N independent copies of it in arrays with a leading lane axis, and a
kernel that advances them (the `Lanes` protocol below says exactly what a domain provides). Everything
Gymnasium asks for on top is here, and is the same for every domain:

* `LaneEnv` is an `Env` around one lane: the same kernel, so a single environment and a vector lane agree bit
  for bit.
* `LaneVectorEnv` is a `VectorEnv` around N lanes: the three autoreset modes, lane i seeded with `seed + i`,
  `reset_mask`, and info arrays with their masks, as `gymnasium.vector.SyncVectorEnv` gives them.

A new domain therefore is: a class with the methods of `Lanes`; two small classes that derive from `LaneEnv`
and `LaneVectorEnv`, whose constructors spell out and document the domain's arguments; and one `register`
call in `gym_safemaze/__init__.py`. `hard_maze.py` is the pattern.
"""

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gym_safemaze.window import Window

Options = dict[str, Any]
Mask = NDArray[np.bool_]
StepResult = tuple[NDArray, NDArray[np.float64], Mask, Mask]

RENDER_MODES = ["human", "rgb_array"]


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
            actions: (N, ...) of the action space's shape and dtype; Discrete ones are already checked to be
                in range.
            active: the lanes to advance; rows of other lanes in the results may hold anything.

        Returns:
            Observations (N, ...), rewards (N,) float64, terminated (N,), truncated (N,): arrays of their
            own, never handed out a second time.
        """

    def observe(self) -> NDArray:
        """Return the observations (N, ...) in an array of their own."""

    def info(self) -> dict[str, NDArray]:
        """Return the info arrays (N, ...), always with the same keys, in arrays of their own."""

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of one lane for people to look at."""


class LaneEnv(gym.Env):
    """One lane as a Gymnasium environment. A domain derives from it and passes lanes with `num_lanes=1`."""

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 30}

    def __init__(self, lanes: Lanes, render_mode: str | None) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"expected render_mode to be None or one of {RENDER_MODES}, got {render_mode!r}")
        self.lanes = lanes
        self.render_mode = render_mode
        self.observation_space = lanes.observation_space
        self.action_space = lanes.action_space
        self._action_shape = lanes.action_space.shape
        self._window = Window()
        self._all = np.ones(1, dtype=np.bool_)
        self._running = False

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
            ValueError: for an option the domain does not know.
        """
        chosen = _known_options(options, self.lanes.reset_options)
        before = self._np_random, self._np_random_seed
        super().reset(seed=seed)
        try:
            self.lanes.reset(self._all, lambda lane: self.np_random, chosen)
        except ValueError:  # a refused reset leaves everything as it was
            self._np_random, self._np_random_seed = before
            raise
        self._running = True
        if self.render_mode == "human":
            self._show()
        return self.lanes.observe()[0], self._info()

    def step(self, action: Any) -> tuple[NDArray, float, bool, bool, dict[str, Any]]:
        """Take one action.

        Raises:
            ValueError: for an action outside the action space (continuous ones are clamped instead), or NaN.
            gymnasium.error.ResetNeeded: before the first reset and after the end of an episode.
        """
        if not self._running:
            raise ResetNeeded("this episode is over or was never started: call reset() first")
        actions = check_actions(action, self.action_space, self._action_shape)[np.newaxis]
        observations, rewards, terminated, truncated = self.lanes.step(actions, self._all)
        over, cut = terminated.item(), truncated.item()
        self._running = not (over or cut)
        if self.render_mode == "human":
            self._show()
        return observations[0], rewards.item(), over, cut, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """Return the picture (height, width, 3) in mode "rgb_array"; show it in a window in mode "human"."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" or "human" when the environment is made')
            return None
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


class LaneVectorEnv(VectorEnv):
    """N lanes as a Gymnasium vector environment.

    Derived classes pass their lanes and the two arguments every vector environment here takes:
    `autoreset_mode` ("NextStep", "SameStep" or "Disabled", or the enum) and `render_mode` (None or
    "rgb_array").
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, lanes: Lanes, autoreset_mode: str | AutoresetMode, render_mode: str | None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(
                f'expected render_mode of a vector environment to be None or "rgb_array", got {render_mode!r}'
            )
        self.lanes = lanes
        self.num_envs = lanes.num_lanes
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.single_observation_space = lanes.observation_space
        self.single_action_space = lanes.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds: list[int | None] = [None] * self.num_envs
        self._all = np.ones(self.num_envs, dtype=np.bool_)
        self._finished: Mask | None = None  # lanes whose episode is over, None when there are none
        self._started = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: Options | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Start an episode in every lane, or in those of `options["reset_mask"]`.

        Args:
            seed: an int gives lane i the seed `seed + i`; a list has one seed per lane; None continues each
                lane's own random numbers.
            options: the domain's own reset options, and `reset_mask`, an (N,) bool array with at least one
                True.

        Returns:
            Observations (N, ...) of all lanes, and info, whose masks mark the lanes that were reset.
        """
        chosen = _known_options(options, (*self.lanes.reset_options, "reset_mask"))
        mask = self._reset_mask(chosen.pop("reset_mask", None))
        seeds = self._lane_seeds(seed)
        before = self._seeds.copy(), self._generators.copy()
        for lane in np.flatnonzero(mask):
            if seeds[lane] is not None:
                self._seeds[lane], self._generators[lane] = seeds[lane], None
        try:
            self.lanes.reset(mask, self._generator, chosen)
        except ValueError:  # a refused reset leaves everything as it was
            self._seeds, self._generators = before
            raise
        self._started = True
        if mask.all():
            self._finished = None
        elif self._finished is not None:
            self._finished = self._finished & ~mask
        return self.lanes.observe(), _with_masks(self.lanes.info(), mask)

    def step(self, actions: Any) -> tuple[NDArray, NDArray[np.float64], Mask, Mask, dict[str, Any]]:
        """Take one action in every lane.

        Raises:
            ValueError: for actions of another shape, outside the action space (continuous ones are clamped
                instead) or NaN; no lane has moved then.
            gymnasium.error.ResetNeeded: before the first reset, and with autoreset disabled when a lane is
            finished.
        """
        if not self._started:
            raise ResetNeeded("no episode was started: call reset() first")
        actions = check_actions(actions, self.single_action_space, self.action_space.shape)
        finished = self._finished
        if finished is None or not finished.any():
            observations, rewards, terminated, truncated = self.lanes.step(actions, self._all)
        elif self.autoreset_mode is AutoresetMode.NEXT_STEP:
            observations, rewards, terminated, truncated = self._step_and_restart(actions, finished)
        else:
            lanes = np.flatnonzero(finished).tolist()
            raise ResetNeeded(
                f'the episodes of lanes {lanes} are over: reset them with options={{"reset_mask": ...}}'
            )
        done = terminated | truncated
        self._finished = done if done.any() else None
        if self._finished is not None and self.autoreset_mode is AutoresetMode.SAME_STEP:
            return self._restart_at_once(observations, rewards, terminated, truncated)
        return observations, rewards, terminated, truncated, _with_masks(self.lanes.info(), self._all)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one picture (height, width, 3) per lane in mode "rgb_array"."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" when the environment is made')
            return None
        return tuple(self.lanes.draw(lane) for lane in range(self.num_envs))

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random generators of the lanes."""
        return tuple(self._generator(lane) for lane in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seeds of the lanes, drawn from the operating system for lanes that were never given one."""
        return tuple(self._seeds[lane] for lane, _ in enumerate(self.np_random))

    def _step_and_restart(self, actions: NDArray, finished: Mask) -> StepResult:
        """NextStep: finished lanes ignore their action and start again, with reward 0."""
        observations, rewards, terminated, truncated = self.lanes.step(actions, ~finished)
        self.lanes.reset(finished, self._generator, {})
        observations[finished] = self.lanes.observe()[finished]
        rewards[finished] = 0.0
        terminated[finished] = False
        truncated[finished] = False
        return observations, rewards, terminated, truncated

    def _restart_at_once(
        self, observations: NDArray, rewards: NDArray[np.float64], terminated: Mask, truncated: Mask
    ) -> tuple[NDArray, NDArray[np.float64], Mask, Mask, dict[str, Any]]:
        """SameStep: finished lanes start again now; how they ended moves to final_obs and final_info."""
        finished, self._finished = terminated | truncated, None
        final_info = _with_masks(self.lanes.info(), finished)
        final_observations = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(finished):
            final_observations[lane] = observations[lane].copy()
        self.lanes.reset(finished, self._generator, {})
        observations[finished] = self.lanes.observe()[finished]
        info = _with_masks(self.lanes.info(), self._all)
        info |= {"final_obs": final_observations, "_final_obs": finished}
        info |= {"final_info": final_info, "_final_info": finished.copy()}
        return observations, rewards, terminated, truncated, info

    def _generator(self, lane: int) -> np.random.Generator:
        generator = self._generators[lane]
        if generator is None:
            generator, self._seeds[lane] = seeding.np_random(self._seeds[lane])
            self._generators[lane] = generator
        return generator

    def _lane_seeds(self, seed: int | list[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + lane for lane in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"expected one seed or a list of {self.num_envs}, one per lane, got {len(seed)}")
        for one in seed:
            if one is not None and (not isinstance(one, int | np.integer) or one < 0):
                raise ValueError(f"expected seeds to be integers of at least 0 or None, got {one!r}")
        return [None if one is None else int(one) for one in seed]

    def _reset_mask(self, mask: Any) -> Mask:
        if mask is None:
            return self._all
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            got = f"{mask.dtype} array of shape {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)
            raise ValueError(f"expected reset_mask to be a bool array of shape ({self.num_envs},), got {got}")
        if not mask.any():
            raise ValueError("expected reset_mask to name at least one lane, got all False")
        if not self._started and not mask.all():
            raise ResetNeeded("reset every lane once before resetting some of them with reset_mask")
        return mask.copy()


def check_actions(actions: Any, space: gym.Space, shape: tuple[int, ...] | None) -> NDArray:
    """Return `actions` as a fresh contiguous array of the space's dtype, or say what is wrong with them.

    Args:
        actions: one action, or one per lane.
        space: a lane's action space, Box or Discrete.
        shape: the shape `actions` must have.

    Raises:
        ValueError: for another shape, a fractional discrete action or one out of range. Box actions are not
            compared with their bounds: clamping them, and refusing NaN, is the kernel's work.
    """
    array = np.asarray(actions)
    if array.shape != shape:
        raise ValueError(f"expected actions of shape {shape}, got {array.shape}")
    if not isinstance(space, gym.spaces.Discrete):
        return np.array(array, dtype=space.dtype, order="C")
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"expected integer actions in [{space.start}, {space.start + space.n}), got {actions!r}"
        )
    outside = (array < space.start) | (array >= space.start + space.n)
    if outside.any():
        raise ValueError(
            f"expected actions in [{space.start}, {space.start + space.n}), got {array[outside][0]}"
        )
    return array.astype(space.dtype, order="C")


def _known_options(options: Options | None, known: tuple[str, ...]) -> Options:
    unknown = sorted(set(options or ()) - set(known))
    if unknown:
        raise ValueError(f"unknown reset options {unknown}; known: {sorted(known)}")
    return dict(options or {})


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = [known.value for known in AutoresetMode]
        raise ValueError(f"expected autoreset_mode to be one of {known}, got {mode!r}") from None


def _with_masks(info: dict[str, NDArray], mask: Mask) -> dict[str, Any]:
    """Add to each info array the mask `_name` of the lanes it speaks for, as Gymnasium does."""
    return info | {f"_{name}": mask.copy() for name in info}


def check_count(name: str, value: Any) -> int:
    """Return the argument `name` as an int if it is an integer of at least 1, or raise a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"expected {name} to be an integer of at least 1, got {value!r}")
    return int(value)


def per_lane(name: str, value: Any, shape: tuple[int, ...], num_lanes: int) -> NDArray[np.float64]:
    """Return reset option `name`, given once (*shape) or per lane (N, *shape), as (N, *shape), read-only."""
    array = np.asarray(value, dtype=np.float64)
    shapes = (shape, (num_lanes, *shape))
    if array.shape not in shapes:
        raise ValueError(f"expected option {name!r} of shape {shapes[0]} or {shapes[1]}, got {array.shape}")
    return np.broadcast_to(array, shapes[1])
