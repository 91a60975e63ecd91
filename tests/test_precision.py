"""Children that do not depend on the processor, the size of a batch or of a chunk; and half precision."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import SMR, FlatNetwork, GaussianMutation, SMGSum, make, sensitivity
from safe_mutation.operators import OPERATORS

SOURCES = Path(__file__).parents[1] / "safe_mutation" / "src"


def network(recurrent: bool = False) -> FlatNetwork:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(x)[0][:, -1])

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Linear(5, 16), nn.SELU()]
        for _ in range(6):
            layers += [nn.Linear(16, 16), nn.SELU()]
        return FlatNetwork(Recurrent() if recurrent else nn.Sequential(*layers, nn.Linear(16, 2)))


def parents(of: FlatNetwork, number: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(1).normal(size=(number, of.num_params)).astype(np.float32)


def inputs(recurrent: bool) -> np.ndarray:
    shape = (40, 6, 5) if recurrent else (40, 5)
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


STRENGTHS = ({"intensity": 0.01}, {"divergence": 0.02})
CASES = [(name, strength) for name in OPERATORS for strength in STRENGTHS]
every_case = pytest.mark.parametrize(("name", "strength"), CASES)


@every_case
def test_batches_chunks_and_single_calls_give_the_same_bits(name: str, strength: dict) -> None:
    for recurrent in (False, True):
        own = network(recurrent)
        genomes, seeds = parents(own, 50 if not recurrent else 8), list(range(50))
        seeds = seeds[: len(genomes)]
        call = {"experiences": inputs(recurrent)}
        op = make(name, own, precision="float64", **strength)
        children = op(genomes, **call, generator=seeds)
        assert children.dtype == np.float32
        for n in range(0, len(genomes), 3):
            np.testing.assert_array_equal(op(genomes[n], **call, generator=n), children[n])
        for size in (1, 7):
            chunked = make(name, own, precision="float64", chunk_size=size, **strength)
            np.testing.assert_array_equal(chunked(genomes, **call, generator=seeds), children)


def digests() -> dict[str, str]:
    """A hash of the children of every case, for comparison between processes."""
    found = {}
    for recurrent in (False, True):
        own = network(recurrent)
        for name, strength in CASES:
            op = make(name, own, precision="float64", **strength)
            children = op(parents(own, 6), experiences=inputs(recurrent), generator=3)
            found[f"{name} {strength} {recurrent}"] = hashlib.sha256(children.tobytes()).hexdigest()
    return found


def test_other_instructions_give_the_same_bits() -> None:
    """Torch and its matrix library are told to use older instructions, as another processor would."""
    script = "import json, test_precision; print(json.dumps(test_precision.digests()))"
    environment = os.environ | {"PYTHONPATH": f"{SOURCES}:{Path(__file__).parent}"}
    older = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "DNNL_MAX_CPU_ISA": "SSE41"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    printed = subprocess.run(command, env=environment | older, capture_output=True, text=True, check=True)
    assert json.loads(printed.stdout.splitlines()[-1]) == digests()


@every_case
def test_children_are_nearly_those_of_single_precision(name: str, strength: dict) -> None:
    own = network()
    genomes, call = parents(own, 4), {"experiences": inputs(False), "generator": 1}
    double = make(name, own, precision="float64", **strength)(genomes, **call)
    single = make(name, own, **strength)(genomes, **call)
    assert np.abs(double - single).max() < 2e-3 * np.abs(single - genomes).max()


def test_a_kept_sensitivity_is_as_precise() -> None:
    own = network()
    op = SMGSum(own, sigma=0.01, precision="float64")
    kept = op.sensitivity(parents(own, 3), experiences=inputs(False))
    assert kept.dtype == np.float64
    np.testing.assert_array_equal(
        op(parents(own, 3), sensitivity=kept, generator=1),
        op(parents(own, 3), experiences=inputs(False), generator=1),
    )


def test_the_noise_is_that_of_the_genomes_precision() -> None:
    genomes = parents(network(), 2)
    double = GaussianMutation(sigma=0.1, precision="float64")(genomes, generator=1)
    np.testing.assert_allclose(double, GaussianMutation(sigma=0.1)(genomes, generator=1), rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", [SMR, SMGSum])
def test_half_precision_children_diverge_as_asked_once_rounded(kind) -> None:
    own = network()
    genomes = torch.from_numpy(parents(own, 4)).bfloat16()
    children, info = kind(own, divergence=0.05, tolerance=0.1)(
        genomes, experiences=inputs(False), generator=1, return_info=True
    )
    assert info.status == ["converged"] * 4
    shared = torch.from_numpy(inputs(False)).expand(4, 40, 5)
    reached = sensitivity.divergence(own, genomes.float(), children.float(), shared)
    np.testing.assert_allclose(reached, 0.05, rtol=0.1)


def test_bad_precisions() -> None:
    with pytest.raises(ValueError, match="precision to be 'float64' or None, got 'float16'"):
        GaussianMutation(sigma=0.1, precision="float16")  # type: ignore[arg-type]
