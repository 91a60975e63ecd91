"""QDax illuminates the hard maze (MAP-Elites) with polynomial mutation, and with safe mutation of JAX arrays.

    pip install ./safe_mutation ./gym_safemaze qdax==0.5.0
    python examples/other_libraries/qdax_maze.py

The repertoire keeps what each elite has sensed; genomes go to the operator and back without a copy.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from qdax.core.containers.mapelites_repertoire import MapElitesRepertoire, compute_euclidean_centroids
from qdax.core.emitters.mutation_operators import polynomial_mutation
from qdax.core.emitters.standard_emitters import MixingEmitter
from qdax.core.map_elites import MAPElites

from comparison import Comparison
from maze_task import HardMaze, Rollouts
from safe_mutation import SMGSO


class SafeMutationEmitter(MixingEmitter):
    """Children of elites, each by its own experiences, which the repertoire keeps."""

    def __init__(self, op, batch_size):
        super().__init__(None, None, variation_percentage=0.0, batch_size=batch_size)
        self.op = op

    def emit(self, repertoire, emitter_state, key):
        elites = repertoire.select(key, self.batch_size)  # JAX arrays, as the children will be
        experiences, seed = elites.extra_scores["experiences"], int(jax.random.key_data(key)[-1])
        return self.op(elites.genotypes, experiences=experiences, per_parent=True, generator=seed), {}


def repertoire_with_experiences(*first_generation: Any) -> MapElitesRepertoire:
    """A repertoire that keeps the experiences, given the first generation."""
    *arrays, extra_scores = first_generation
    return MapElitesRepertoire.init(*arrays, extra_scores=extra_scores, keys_extra_scores=("experiences",))


def scores(rollouts: Rollouts) -> dict:
    """Rollouts as QDax wants them."""
    return {
        "fitnesses": jnp.asarray(rollouts.fitness)[:, None],
        "descriptors": jnp.asarray(rollouts.behavior),
        "extra_scores": {"experiences": jnp.asarray(rollouts.experiences)},
    }


def run(task: HardMaze, safe: bool, seed: int, budget: int) -> None:
    """Fill 20 x 20 places in the maze with the elites that end there."""
    polynomial = functools.partial(
        polynomial_mutation, proportion_to_mutate=0.1, eta=20.0, minval=-5.0, maxval=5.0
    )
    stock = MixingEmitter(polynomial, variation_fn=None, variation_percentage=0.0, batch_size=100)
    op = SMGSO(task.network, divergence=0.03, weight_clip=0.2)
    emitter = SafeMutationEmitter(op, batch_size=100) if safe else stock
    elites = MAPElites(None, emitter, lambda repertoire: {}, repertoire_with_experiences)
    centroids = compute_euclidean_centroids((20, 20), 0.0, 203.0)
    genotypes = jnp.asarray(task.initial_genomes(100, seed))
    key = jax.random.key(seed)
    told = scores(task.evaluate(np.asarray(genotypes)))
    repertoire, state, _ = elites.init_ask_tell(genotypes, centroids=centroids, key=key, **told)
    while task.solved_at is None and task.evaluations < budget:
        key, subkey = jax.random.split(key)
        genotypes, _ = elites.ask(repertoire, state, subkey)
        told = scores(task.evaluate(np.asarray(genotypes)))
        repertoire, state, _ = elites.tell(genotypes, repertoire=repertoire, emitter_state=state, **told)


if __name__ == "__main__":
    Comparison("qdax", HardMaze, "`polynomial_mutation(0.1, eta=20)`", run, 4_000).main()
