"""Operators in threads, and inside whatever torch is set to: the same children, no setting left changed."""

from __future__ import annotations

import pickle
import random
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad

from network_kinds import KINDS
from safe_mutation import SMGSO, SMR, GaussianMutation, SMGAbs, SMGSum
from safe_mutation.experiences import map_leaves

NETWORKS = ("MLP", "nn.GRU", "nn.LSTM", "transformer")
THREADS, CALLS = 8, 480


def operators(name: str) -> tuple[list[Any], torch.Tensor, Any]:
    """All operators on one network, with parents and experiences, single precision."""
    kind = next(kind for kind in KINDS if kind.name == name)
    network = kind.network(dtype=torch.float32)
    ops = [
        GaussianMutation(network, sigma=0.1),
        SMR(network, divergence=1e-3),
        SMGSum(network, sigma=0.1),
        SMGAbs(network, sigma=0.1),
        SMGSO(network, sigma=0.1),
    ]
    experiences = map_leaves(lambda x: x.float(), kind.experiences(6, torch.Generator().manual_seed(1)))
    return ops, kind.genomes(3).float(), experiences


def global_state() -> dict[str, Any]:
    return {
        "mkldnn": torch.backends.mkldnn.enabled,
        "cudnn": torch.backends.cudnn.enabled,
        "attention": torch.backends.mha.get_fastpath_enabled(),
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "warnings": list(warnings.filters),
        "level": forward_ad._current_level,
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "random": torch.random.get_rng_state().tolist(),
    }


def test_threads_get_what_a_single_one_gets() -> None:
    """All operators of four networks, shared by eight threads, whose first calls come at once."""
    rng = random.Random(0)
    calls = []
    expected = {}
    shared = {name: operators(name) for name in NETWORKS}
    for name in NETWORKS:
        ops, parents, experiences = operators(name)
        for number, op in enumerate(ops):
            for single in (True, False):
                genomes = parents[0] if single else parents
                for seed in range(3):
                    key = (name, number, single, seed)
                    expected[key] = op(genomes, experiences=experiences, generator=seed)
                    calls.append(key)
    calls = (calls * (CALLS // len(calls)))[:CALLS]
    assert len(calls) == CALLS
    rng.shuffle(calls)
    before = global_state()
    start = threading.Barrier(THREADS)

    def work(some: list[tuple[str, int, bool, int]]) -> list[Any]:
        start.wait()
        wrong = []
        for name, number, single, seed in some:
            ops, parents, experiences = shared[name]
            genomes = parents[0] if single else parents
            child = ops[number](genomes, experiences=experiences, generator=seed)
            if not torch.equal(child, expected[name, number, single, seed]):
                wrong.append((name, number, single, seed))
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = [one for some in pool.map(work, [calls[n::THREADS] for n in range(THREADS)]) for one in some]
    assert wrong == []
    assert global_state() == before


@contextmanager
def default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


CONTEXTS = {
    "none": nullcontext,
    "dual_level": forward_ad.dual_level,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype": default_dtype,
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_children_inside(context: str, name: str) -> None:
    """The first call inside a context finds out the same as one outside, and later ones too."""
    ops, parents, experiences = operators(name)
    expected = [op(parents, experiences=experiences, generator=3) for op in ops]
    others, _, _ = operators(name)
    with CONTEXTS[context]():
        before = global_state()
        for op, fresh, children in zip(ops, others, expected, strict=True):
            assert torch.equal(fresh(parents, experiences=experiences, generator=3), children)
            assert torch.equal(op(parents, experiences=experiences, generator=3), children)
        assert global_state() == before
    assert others[-1].plan == ops[-1].plan
    assert ops[-1].plan.tangent is not None


def test_a_level_that_another_thread_closes() -> None:
    """A caller's forward-mode level is borrowed; closed midway, it takes the tangents with it."""
    ops, parents, experiences = operators("MLP")
    op = ops[-1]
    expected = op(parents, experiences=experiences, generator=3)
    level = forward_ad.dual_level()
    level.__enter__()
    network, closed = op.network, []
    inner = type(network).__call__

    def closing(self: Any, params: Any, inputs: Any) -> Any:
        outputs = inner(self, params, inputs)
        if not closed and forward_ad.unpack_dual(params).tangent is not None:
            closed.append(True)
            level.__exit__(None, None, None)
        return outputs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(network), "__call__", closing)
        child = op(parents, experiences=experiences, generator=3)
    assert closed
    assert torch.equal(child, expected)


def test_plans_travel_with_pickles() -> None:
    """A worker finds out nothing again: its network makes as many passes as one that knows."""
    for name in NETWORKS:
        ops, parents, experiences = operators(name)
        for op in ops[1:]:
            op(parents, experiences=experiences, generator=1)
            copy = pickle.loads(pickle.dumps(op))
            assert copy.plan == op.plan
            assert copy.plan.outputs == 2
            passes = []
            for one in (op, copy):
                seen = []
                with pytest.MonkeyPatch.context() as patch:
                    inner = type(one.network).__call__
                    patch.setattr(
                        type(one.network),
                        "__call__",
                        lambda self, *a, f=inner, s=seen: s.append(1) or f(self, *a),
                    )
                    one(parents, experiences=experiences, generator=1)
                passes.append(len(seen))
            assert passes[0] == passes[1]
