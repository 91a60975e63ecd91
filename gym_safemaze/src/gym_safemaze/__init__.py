"""The four domains of the safe-mutation paper as Gymnasium environments.

Importing the package registers them; the modules behind them are imported when an environment is made.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.2.0.dev0"


def _register(name: str, module: str) -> None:
    """Register safemaze/NAME-v0, whose classes are NAMEEnv and NAMEVectorEnv of gym_safemaze.MODULE."""
    if f"safemaze/{name}-v0" not in registry:
        register(
            f"safemaze/{name}-v0",
            entry_point=f"gym_safemaze.{module}:{name}Env",
            vector_entry_point=f"gym_safemaze.{module}:{name}VectorEnv",
        )


_register("BreadcrumbHardMaze", "hard_maze")
_register("RecurrentParity", "recurrent_parity")
_register("TopdownMaze", "topdown_maze")
_register("FirstPersonMaze", "first_person_maze")
