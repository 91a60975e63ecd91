"""evosax's SimpleGA learns parity with its Gaussian mutation, and with the safe one.

    pip install ./safe_mutation evosax==0.3.2
    python examples/other_libraries/evosax_parity.py

SafeGA calls the operator from inside JAX's compiled code.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.algorithms import SimpleGA

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


class SafeGA(SimpleGA):
    """With no deviation, SimpleGA's children are copies of its elites: those are mutated outside of JAX."""

    op: SMGSO

    def _ask(self, key, state, params):
        parents, state = super()._ask(key, state, params)
        seed = jax.random.randint(key, (), 0, 2**31 - 1)
        mutated = jax.ShapeDtypeStruct(parents.shape, parents.dtype)
        return jax.pure_callback(self._mutate, mutated, parents, seed), state

    def _mutate(self, parents, seed):
        return self.op(np.asarray(parents), generator=int(seed))


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks, the best half of which are parents."""
    population = jnp.asarray(task.initial_genomes(100, seed))
    if safe:
        ga = SafeGA(100, population[0], std_schedule=optax.constant_schedule(0.0))
        ga.op = SMGSO(task.network, divergence=0.03, experiences=task.experiences)
    else:
        ga = SimpleGA(100, population[0], std_schedule=optax.constant_schedule(0.05))
    ga.elite_ratio = 0.2
    key = jax.random.key(seed)
    fitness = jnp.asarray(task.evaluate(np.asarray(population)))
    state = ga.init(key, population, -fitness, ga.default_params)
    while task.solved_at is None and task.evaluations < budget:
        key, ask, tell = jax.random.split(key, 3)
        population, state = ga.ask(ask, state, ga.default_params)
        fitness = jnp.asarray(task.evaluate(np.asarray(population)))
        state, _ = ga.tell(tell, population, -fitness, state, ga.default_params)


if __name__ == "__main__":
    Comparison("evosax", RecurrentParity, "`SimpleGA`, std 0.05", run, 12_000).main()
