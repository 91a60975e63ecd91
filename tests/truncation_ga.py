"""A made-up algorithm, as somebody would add one."""

from dataclasses import dataclass, field
from typing import ClassVar

from evolution.individual import pack, unpack


@dataclass
class TruncationGA:
    """Generations: every parent has two children, the better half of all goes on."""

    name: ClassVar[str] = "truncation-ga"
    size: int = 6
    seed: int = 0
    run: int = 0
    population: list = field(default_factory=list, init=False, repr=False)

    def ask(self):
        return [*self.population, *self.population] or [None] * self.size

    def tell(self, children):
        everyone = sorted([*self.population, *children], key=lambda each: -each.fitness)
        self.population = everyone[: self.size]

    def state(self):
        return pack("population", self.population)

    def load(self, state):
        self.population = unpack("population", state)
