"""A random call of a random operator, and what it should have been computed from.

A call is a kind of network, an operator with options, parents of some precision and number, and
experiences in one of the forms that may be given; or the same with one thing wrong.
"""

from __future__ import annotations

import copy
from collections import UserDict
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from network_kinds import KINDS, Kind
from safe_mutation.experiences import leaves, map_leaves, take
from safe_mutation.mutation import Mutation
from safe_mutation.noise import choose, read_generator, standard_normal
from safe_mutation.operators import OPERATORS, make

SEQUENCES = ("RNN", "GRU", "LSTM", "transformer", "tokens", "recurrent")  # kinds that take any length
ACTIVATIONS = (nn.Tanh, nn.SELU, nn.Sigmoid, nn.ReLU, nn.GELU, nn.Softplus, nn.LeakyReLU)
PRECISIONS = ("float64", "float32", "bfloat16", "float16")


class Call:
    """Call number ``seed``.

    Attributes:
        operator: The operator.
        given: The parents as they are given.
        arguments: The keyword arguments of the call.
        params: The parents as they are computed with (N, P), float64.
        own: For every parent its experiences, each as a batch of one, float64.
        noise: Standard normal numbers of the perturbation (N, P), float64.
        wanted: Whether a divergence is asked for in place of sigma.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.kind = (
            KINDS[rng.integers(len(KINDS))] if rng.random() < 0.7 else perceptron(int(rng.integers(40)))
        )
        self.precision = str(rng.choice(PRECISIONS, p=[0.5, 0.4, 0.05, 0.05]))
        self.name = str(rng.choice(list(OPERATORS)))
        self.network = network_of(self.kind, bool(rng.integers(2)))
        number = self.network.num_params
        self.single = bool(rng.random() < 0.25)
        parents = 1 if self.single else int(rng.integers(1, 5))
        self._draw_parents(rng, parents, number)
        self._draw_options(rng, number)
        self._draw_experiences(rng, parents)
        self._draw_generator(rng, parents)

    def _draw_parents(self, rng: np.random.Generator, parents: int, number: int) -> None:
        dtype = getattr(torch, self.precision)
        drawn = torch.from_numpy(rng.normal(size=(parents, number)) * rng.choice([0.1, 0.5, 1.0])).to(dtype)
        self.compute = torch.float64 if dtype == torch.float64 else torch.float32
        self.params = drawn.double()
        self.given: Any = drawn[0] if self.single else drawn
        if self.precision != "bfloat16" and rng.random() < 0.5:
            self.given = self.given.numpy()

    def _draw_options(self, rng: np.random.Generator, number: int) -> None:
        options: dict[str, Any] = {"intensity": float(10 ** rng.uniform(-4, -1))}
        self.mask = rng.random(number) < 0.7
        self.mask[rng.integers(number)] = True
        if rng.random() < 0.3:
            options["mask"] = self.mask if rng.random() < 0.5 else torch.from_numpy(self.mask)
        else:
            self.mask[:] = True
        self.maximum = rng.choice([100, 2, None])
        options["max_experiences"] = self.maximum
        self.wanted = rng.random() < 0.3 or self.name == "SM-R"  # a divergence in place of sigma
        if self.wanted:
            del options["intensity"]
            options["divergence"] = float(10 ** rng.uniform(-4, -1))
        if self.name != "control" and rng.random() < 0.3:
            options["chunk_size"] = int(rng.integers(1, 5))
        if self.name.startswith("SM-G"):
            options["weight_clip"] = rng.choice([None, 0.05, 1.0])
        if self.name.startswith("SM-G") and not self.wanted:
            options["floor"], options["zero"] = rng.choice([0.01, 1e-4, None]), 1.0
            if options["floor"] is not None:
                options["zero"] = float(rng.choice([1.0, 3.0]))
        if self.name == "SM-G-SO":
            options["direction"] = str(rng.choice(["raw", "unit"]))
        if self.name == "SM-G-RMS":
            options["probes"] = None  # exact
        self.options = options
        self.operator: Mutation = make(self.name, self.network, **options)

    def _draw_experiences(self, rng: np.random.Generator, parents: int) -> None:
        """Sets of one length or of several, in the form of an array or of lists."""
        self.per_parent = not self.single and rng.random() < 0.4
        sizes = [int(i) for i in rng.integers(1, 6, size=parents if self.per_parent else 1)]
        if rng.random() < 0.5:
            sizes = [sizes[0]] * len(sizes)
        unequal = rng.random() < 0.4 and any(word in self.kind.name for word in SEQUENCES)
        sets: list[list[Any]] = []
        for size in sizes:
            drawn = self.kind.experiences(size, torch.Generator().manual_seed(int(rng.integers(2**31))))
            singles = [take(drawn, i) for i in range(size)]
            if unequal:
                singles = [map_leaves(lambda x: x[: rng.integers(1, 4)], one) for one in singles]
            elif rng.random() < 0.2 and size > 1:
                singles[-1] = singles[0]  # one of them twice
            sets.append(singles)
        lists = unequal or rng.random() < 0.2
        if lists or len(set(sizes)) > 1:
            forms = [in_some_form(rng, one, lists) for one in sets]
            self.experiences: Any = forms if self.per_parent else forms[0]
        else:
            stacked = [stack(one) for one in sets]
            self.experiences = in_some_array(rng, stack(stacked) if self.per_parent else stacked[0])
        self.sets = [[map_leaves(self._as_computed, one) for one in singles] for singles in sets]

    def _draw_generator(self, rng: np.random.Generator, parents: int) -> None:
        seeds = [int(seed) for seed in rng.integers(2**31, size=parents)]
        self.generator: Any = seeds[0] if self.single or rng.random() < 0.5 else seeds
        streams = read_generator(self.generator, parents)
        self.noise = standard_normal(streams.noise, self.params.to(self.compute)).double()
        self.noise *= torch.from_numpy(self.mask)
        sources = streams.experiences
        each = sources if isinstance(sources, list) else [sources] * parents
        shared_draw = None
        self.own = []
        for n, source in enumerate(each):
            singles = self.sets[n if self.per_parent else 0]
            reported = self.name == "control" and not self.wanted  # on all experiences
            limited = self.maximum is not None and not reported
            if limited and len(singles) > self.maximum:
                if shared_draw is None or isinstance(sources, list) or self.per_parent:
                    shared_draw = choose(source, len(singles), self.maximum).tolist()
                singles = [singles[i] for i in shared_draw]
            self.own.append([map_leaves(lambda x: x[None], one) for one in singles])
        self.arguments = {
            "experiences": self.experiences,
            "per_parent": self.per_parent,
            "generator": self.generator,
            "return_info": True,
        }

    def _as_computed(self, leaf: Tensor) -> Tensor:
        return leaf.to(self.compute).double() if leaf.is_floating_point() else leaf

    def __repr__(self) -> str:
        shapes = [[tuple(x.shape) for x in leaves(one)] for one in self.own[0]]
        return (
            f"{self.name}, {len(self.params)} {self.precision} genomes, {self.kind.name}, {self.options}, "
            f"per_parent={self.per_parent}, {type(self.experiences).__name__} {shapes}"
        )


def perceptron(seed: int) -> Kind:
    """A random stack of linear layers, some of them frozen, without bias, or normalised."""

    def make_one() -> nn.Module:
        rng = np.random.default_rng(seed)
        widths = [3, *rng.integers(1, 6, size=rng.integers(0, 4)).tolist(), int(rng.integers(1, 4))]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers.append(nn.Linear(inputs, outputs, bias=bool(rng.random() < 0.8)))
            if rng.random() < 0.2 and outputs > 1:
                layers.append(nn.LayerNorm(outputs))
            layers.append(ACTIVATIONS[rng.integers(len(ACTIVATIONS))]())
        if rng.random() < 0.3 and len(layers) > 2:
            layers[0].requires_grad_(False)
        return nn.Sequential(*layers)

    experiences = next(kind for kind in KINDS if kind.name == "MLP").experiences
    return Kind(f"perceptron {seed}", make_one, experiences)


@cache
def _network(name: str, double: bool) -> Any:
    kind = perceptron(int(name.split()[1])) if name.startswith("perceptron") else None
    kind = kind or next(kind for kind in KINDS if kind.name == name)
    return kind.network(dtype=torch.float64 if double else torch.float32)


def network_of(kind: Kind, double: bool) -> Any:
    """A network of the kind, the same one for all calls, as in a run of evolution."""
    return _network(kind.name, double)


def stack(singles: list[Any]) -> Any:
    if isinstance(singles[0], dict):
        return {key: torch.stack([one[key] for one in singles]) for key in singles[0]}
    return torch.stack(singles)


def in_some_form(rng: np.random.Generator, singles: list[Any], listed: bool) -> Any:
    """One set of experiences: a list of them, or an array."""
    if not listed:
        return in_some_array(rng, stack(singles))
    if isinstance(singles[0], Tensor) and singles[0].is_floating_point() and rng.random() < 0.3:
        return pack_sequence(singles, enforce_sorted=False)
    return [in_some_array(rng, one) for one in singles]


def in_some_array(rng: np.random.Generator, values: Any) -> Any:
    if isinstance(values, dict):
        made = {key: in_some_array(rng, value) for key, value in values.items()}
        return UserDict(made) if rng.random() < 0.3 else made
    form = rng.integers(5)
    array = values.numpy()
    if form == 0:
        return values
    if form == 1:
        array = array.copy()
        array.flags.writeable = False
        return array
    if form == 2 and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    if form == 3 and array.ndim > 1:
        return np.asfortranarray(array)
    return array


def spoil(call: Call, rng: np.random.Generator) -> str:
    """Make one thing of the call wrong; returns its name."""
    arguments, choices = call.arguments, ["genome", "dtype", "nan", "empty", "generator", "strings", "sparse"]
    choice = str(rng.choice([*choices, "sets"] if call.per_parent else choices))
    if choice == "genome":
        call.given = call.given[..., :-1]
    elif choice == "dtype":
        call.given = (
            (call.given * 10).astype(int) if isinstance(call.given, np.ndarray) else call.given.long()
        )
    elif choice == "nan":
        call.given = copy.deepcopy(call.given)
        call.given[..., -1] = float("nan")
    elif choice == "empty":
        arguments["experiences"] = np.zeros((len(call.params), 0, 3) if call.per_parent else (0, 3))
    elif choice == "generator":
        arguments["generator"] = [1] * (len(call.params) + 1)
    elif choice == "strings":
        arguments["experiences"] = np.full((len(call.params), 2, 3) if call.per_parent else (2, 3), "x")
    elif choice == "sparse":
        arguments["experiences"] = torch.eye(3).to_sparse()
    elif choice == "sets":
        arguments["experiences"] = [np.zeros((2, 3))] * (len(call.params) + 1)
    return choice
