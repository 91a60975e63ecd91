"""The paper's genetic algorithm: steady state, tournaments of five, no crossover (table S2).

One step is ``parent = ga.ask()``, a mutation and an evaluation of your own, ``ga.tell(child)``:
the best of a random tournament becomes the parent and the child takes the place of the worst of
the same tournament.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evolution.randomness import Purpose, stream


@dataclass
class Individual:
    """An evaluated genome.

    Attributes:
        genome: Weights (P,), float32.
        fitness: Higher is better.
        solved: Whether its evaluation solved the task.
        experiences: Inputs (I, ...) the network met while it was evaluated.
        sensitivity: Sensitivities (P,) of its weights, once a mutation has needed them.
    """

    genome: np.ndarray
    fitness: float
    solved: bool
    experiences: np.ndarray
    sensitivity: np.ndarray | None = None


class SteadyStateGA:
    """A population that ``ask`` draws parents from and ``tell`` puts children into.

    Args:
        population_size: Individuals kept; the first so many told are the initial population.
        tournament_size: Individuals drawn, without replacement, for each child.
        seed: Together with ``run`` decides every tournament.
        run: Number of this replicate.
        removal: Whom a child replaces: the worst of its parent's "same" tournament, as in the published
            code, or the worst of "another" one. The paper leaves it open.
    """

    def __init__(
        self,
        population_size: int = 250,
        tournament_size: int = 5,
        seed: int = 0,
        run: int = 0,
        removal: str = "same",
    ) -> None:
        if removal not in ("same", "another"):
            raise ValueError(f"expected removal to be 'same' or 'another', got {removal!r}")
        if not 2 <= tournament_size <= population_size:
            raise ValueError(
                f"expected a tournament of 2 to population_size={population_size} individuals, "
                f"got {tournament_size}"
            )
        self.population_size = population_size
        self.tournament_size = tournament_size
        self.seed = seed
        self.run = run
        self.removal = removal
        self.population: list[Individual] = []
        self.evaluations = 0
        self.champion: Individual | None = None
        self._replaced = -1

    def ask(self) -> Individual:
        """The winner of a new tournament, to be mutated; its loser will be replaced by the next ``tell``."""
        if len(self.population) < self.population_size:
            raise RuntimeError(
                f"expected {self.population_size} individuals before the first ask, "
                f"got {len(self.population)}"
            )
        chance = stream(self.seed, self.run, self.evaluations, Purpose.SELECTION)
        ranked = self._tournament(chance)
        self._replaced = ranked[0] if self.removal == "same" else self._tournament(chance)[0]
        return self.population[ranked[-1]]

    def _tournament(self, chance: np.random.Generator) -> list[int]:
        """Random members of the population, worst first."""
        entrants = chance.choice(self.population_size, self.tournament_size, replace=False)
        return sorted(entrants, key=lambda entrant: self.population[entrant].fitness)

    def tell(self, child: Individual) -> None:
        """Count an evaluated individual and take it into the population."""
        if len(self.population) < self.population_size:
            self.population.append(child)
        elif self._replaced >= 0:
            self.population[self._replaced] = child
            self._replaced = -1
        else:
            raise RuntimeError("expected an ask before each tell once the population is full")
        self.evaluations += 1
        if self.champion is None or _better(child, self.champion):
            self.champion = child


def _better(child: Individual, champion: Individual) -> bool:
    return (child.solved, child.fitness) > (champion.solved, champion.fitness)
