"""N lanes as a Gymnasium vector environment (see `gym_safemaze.lanes`)."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gym_safemaze.checks import check_actions, check_choice, check_count, check_options, check_seed
from gym_safemaze.lanes import EVERY, Lanes, Mask, Options, StepResult


@dataclass(eq=False)
class LaneVectorEnv(VectorEnv):
    """N lanes as a vector environment. A domain's VectorEnv inherits from its settings and from this.

    Args:
        num_envs: N.
        autoreset_mode: "NextStep", "SameStep" or "Disabled", or the enum.
        render_mode: None or "rgb_array".
        max_episode_steps: steps after which an episode is truncated, as by Gymnasium's `TimeLimit`; None for
            no such limit beside the domain's own.

    Raises:
        ValueError: for an unknown autoreset mode, or a limit that is no integer of at least 1.
    """

    num_envs: int = 1
    _: KW_ONLY
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP
    render_mode: str | None = None
    max_episode_steps: int | None = None  # under Gymnasium's name: `make_vec` passes on what a spec says
    lanes: Any = field(init=False, repr=False)

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __post_init__(self) -> None:
        check_choice("render_mode of a vector environment", self.render_mode, (None, "rgb_array"))
        self.autoreset_mode = _autoreset_mode(self.autoreset_mode)
        if self.max_episode_steps is not None:
            self.max_episode_steps = check_count("max_episode_steps", self.max_episode_steps)
        self.lanes = self.make_lanes(self.num_envs, self.render_mode is not None)
        self.num_envs = self.lanes.num_lanes
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.lanes.observation_space
        self.single_action_space = self.lanes.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds: list[int | None] = [None] * self.num_envs
        self._all = np.ones(self.num_envs, dtype=np.bool_)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)  # steps of each lane's episode
        self._finished: Mask | None = None  # lanes whose episode is over, None when there are none
        self._started = False

    def make_lanes(self, num_lanes: int, drawn: bool) -> Lanes:
        """Make `num_lanes` lanes; `drawn` tells whether pictures of them will be asked for."""
        raise NotImplementedError("the settings of a domain make its lanes")

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | NDArray[np.integer] | None = None,
        options: Options | None = None,
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
        chosen = check_options(options, (*self.lanes.reset_options, "reset_mask"))
        mask = self._reset_mask(chosen.pop("reset_mask", None))
        seeds = self._lane_seeds(seed)
        before = self._seeds.copy(), self._generators.copy()
        for lane in np.flatnonzero(mask):
            if seeds[lane] is not None:
                self._seeds[lane], self._generators[lane] = seeds[lane], None
        try:
            self.lanes.reset(mask, self._generator, chosen)
        except Exception:  # a refused reset leaves everything as it was
            self._seeds, self._generators = before
            raise
        self._started = True
        self._elapsed[mask] = 0
        if mask.all():
            self._finished = None
        elif self._finished is not None:
            self._finished = self._finished & ~mask
        return self.lanes.observe(EVERY), _with_masks(self.lanes.info(), mask)

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
            rewards, terminated, truncated = self._step(actions, self._all)
        elif self.autoreset_mode is AutoresetMode.NEXT_STEP:
            rewards, terminated, truncated = self._step_and_restart(actions, finished)
        else:
            lanes = np.flatnonzero(finished).tolist()
            raise ResetNeeded(
                f'the episodes of lanes {lanes} are over: reset them with options={{"reset_mask": ...}}'
            )
        observations = self.lanes.observe(EVERY)
        done = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and done.any():
            self._finished, info = None, self._restart_at_once(observations, done)
        else:
            self._finished = done if done.any() else None
            info = _with_masks(self.lanes.info(), self._all)
        return observations, rewards, terminated, truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one picture (height, width, 3) per lane in mode "rgb_array".

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" when the environment is made')
            return None
        if not self._started:
            raise ResetNeeded("no episode was started: call reset() first")
        return tuple(self.lanes.draw(lane) for lane in range(self.num_envs))

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random generators of the lanes."""
        return tuple(self._generator(lane) for lane in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seeds of the lanes, drawn from the operating system for lanes that were never given one."""
        return tuple(self._seeds[lane] for lane, _ in enumerate(self.np_random))

    def _step(self, actions: NDArray, active: Mask) -> StepResult:
        """Advance some lanes, and truncate their episodes where there is a limit."""
        rewards, terminated, truncated = self.lanes.step(actions, active)
        if self.max_episode_steps is not None:
            self._elapsed += active
            truncated |= self._elapsed >= self.max_episode_steps
        return rewards, terminated, truncated

    def _restart(self, finished: Mask) -> None:
        """Start new episodes in lanes whose last is over."""
        self.lanes.reset(finished, self._generator, {})
        self._elapsed[finished] = 0

    def _step_and_restart(self, actions: NDArray, finished: Mask) -> StepResult:
        """NextStep: finished lanes ignore their action and start again, with reward 0."""
        rewards, terminated, truncated = self._step(actions, ~finished)
        self._restart(finished)
        rewards[finished] = 0.0
        terminated[finished] = False
        truncated[finished] = False
        return rewards, terminated, truncated

    def _restart_at_once(self, observations: NDArray, finished: Mask) -> dict[str, Any]:
        """SameStep: finished lanes start again now; how they ended moves from `observations` to final_obs."""
        final_info = _with_masks(self.lanes.info(), finished)
        final_observations = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(finished):
            final_observations[lane] = observations[lane].copy()
        self._restart(finished)
        observations[finished] = self.lanes.observe(finished)
        info = _with_masks(self.lanes.info(), self._all)
        info |= {"final_obs": final_observations, "_final_obs": finished}
        return info | {"final_info": final_info, "_final_info": finished.copy()}

    def _generator(self, lane: int) -> np.random.Generator:
        generator = self._generators[lane]
        if generator is None:
            generator, self._seeds[lane] = seeding.np_random(self._seeds[lane])
            self._generators[lane] = generator
        return generator

    def _lane_seeds(self, seed: Any) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, np.ndarray):
            seed = seed.tolist()
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + lane for lane in range(self.num_envs)]
        if not isinstance(seed, Sequence) or isinstance(seed, str):
            raise ValueError(f"expected an integer seed or one seed per lane, got {seed!r}")
        if len(seed) != self.num_envs:
            raise ValueError(f"expected one seed or a list of {self.num_envs}, one per lane, got {len(seed)}")
        return [check_seed(one) for one in seed]

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


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = [known.value for known in AutoresetMode]
        raise ValueError(f"expected autoreset_mode to be one of {known}, got {mode!r}") from None


def _with_masks(info: dict[str, NDArray], mask: Mask) -> dict[str, Any]:
    """Add to each info array the mask `_name` of the lanes it speaks for, as Gymnasium does."""
    return info | {f"_{name}": mask.copy() for name in info}
