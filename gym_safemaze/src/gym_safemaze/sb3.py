"""Native vector environments for Stable-Baselines3.

Stable-Baselines3 takes its own kind of vector environment and none of Gymnasium's. `SB3VecEnv` hands it one
of ours, at full speed:

    envs = gym.make_vec("safemaze/TopdownMaze-v0", num_envs=64, autoreset_mode="SameStep")
    model = PPO("CnnPolicy", VecMonitor(SB3VecEnv(envs)))

Importing this module imports Stable-Baselines3 (`pip install "gym-safemaze[sb3]"`); nothing else here does.
"""

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv


class SB3VecEnv(VecEnv):
    """A Gymnasium vector environment as a Stable-Baselines3 VecEnv.

    Args:
        envs: any Gymnasium vector environment, wrapped or not, with autoreset mode "SameStep", which is how
            Stable-Baselines3 expects episodes to follow each other.

    Raises:
        ValueError: for another autoreset mode.
    """

    def __init__(self, envs: VectorEnv) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f'expected a vector environment with autoreset_mode="SameStep", got {mode}')
        self.envs = envs
        self._actions: NDArray | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray:
        """Start an episode in every lane, with the seeds and options set before, and return observations."""
        options = self._options[0] if self._options else {}
        if any(other != options for other in self._options):
            raise ValueError(
                "expected the same reset options for all lanes, which share one vector environment"
            )
        observations, info = self.envs.reset(seed=self._seeds, options=dict(options))  # type: ignore[arg-type]
        self.reset_infos = _info_per_lane(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray) -> None:
        """Remember the actions; `step_wait` takes them."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Return observations, rewards, ends of episodes, and one info per lane.

        The info of an ended episode is its last, with `terminal_observation` and `TimeLimit.truncated`.
        """
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        done = terminated | truncated
        last_observations = info.pop("final_obs", None)
        final_info = info.pop("final_info", None)
        infos = _info_per_lane(info, self.num_envs)
        if last_observations is not None:
            final = _info_per_lane(final_info, self.num_envs)
            for lane in np.flatnonzero(done):
                # what wrappers say of the episode that ended stands beside the info of the new one
                infos[lane] |= final[lane] | {
                    "terminal_observation": last_observations[lane],
                    "TimeLimit.truncated": bool(truncated[lane] and not terminated[lane]),
                }
        return observations, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.envs.close()

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        """Return one picture per lane."""
        return list(self.envs.render() or [None] * self.num_envs)  # type: ignore[arg-type]

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """Return an attribute of the vector environment, once per asked lane."""
        value = getattr(self.envs, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Lanes are not objects of their own: set attributes of `envs`."""
        raise NotImplementedError(f"lanes have no attributes of their own; set {attr_name!r} on .envs")

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Lanes are not objects of their own: call methods of `envs`."""
        raise NotImplementedError(f"lanes have no methods of their own; call {method_name!r} on .envs")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """Lanes are never wrapped one by one."""
        return [False for _ in self._get_indices(indices)]


def _info_per_lane(info: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Turn a dict of arrays (N, ...), or of such dicts, into N dicts of what each lane's masks let by."""
    if not isinstance(info, dict):
        raise ValueError(
            f"expected a vector environment whose info is a dict of arrays, got a {type(info).__name__}: "
            "leave out DictInfoToList, as infos are taken apart here"
        )
    lanes: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, values in info.items():
        if name.startswith("_"):  # a mask
            continue
        if isinstance(values, dict):
            column = _info_per_lane(values, num_envs)
        else:
            column = values.tolist() if values.ndim == 1 else list(values)
        mask = info.get(f"_{name}")
        for lane in range(num_envs) if mask is None or mask.all() else np.flatnonzero(mask).tolist():
            lanes[lane][name] = column[lane]
    return lanes
