"""What a genome is worth depends on the genome: not on the processor, nor on who is evaluated beside it."""

import hashlib
import json

import numpy as np
import pytest

from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.large_scale import LargeScale101
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.topdown_maze import TopdownMaze
from evolution.networks.picture_gradients import PicturePass
from evolution.networks.picture_maps import count_weights
from own_process import run_anew

CASES = {  # domain, genomes, and by how much random ones are scaled up so that they tell apart what they see
    "recurrent-parity": (RecurrentParity(), 250, 1.5),
    "recurrent-parity, one output": (RecurrentParity(outputs=1), 250, 1.5),
    "breadcrumb-hard-maze": (BreadcrumbHardMaze(), 250, 1.5),
    "large-scale-101": (LargeScale101(frames=40), 6, 1.2),
    "topdown-maze": (TopdownMaze(), 24, 1.5),
}

# Everything that chooses instructions by processor: numba, numpy, torch, and the C library.
OLD_PROCESSOR = {
    "NUMBA_CPU_NAME": "generic",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
}


def genomes_of(case):
    domain, number, scale = CASES[case]
    genomes = domain.network.initial_genomes(number, np.random.default_rng(11))
    return domain, genomes * np.float32(scale)


def outputs_of(domain, genomes):
    """Of a network of pictures, which show differences that its choice of the largest hides."""
    decide = domain.network.policy(genomes)
    pictures = np.random.default_rng(12).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    each = [np.repeat(picture[None], len(genomes), axis=0) for picture in pictures]
    return np.stack([decide(picture) for picture in each], axis=1)


def lane_digests(case, batch):
    """For each genome a digest of all that came of it, evaluated in batches of so many."""
    domain, genomes = genomes_of(case)
    digests = []
    for start in range(0, len(genomes), batch):
        some = genomes[start : start + batch]
        found = domain.evaluate(some)
        outputs = outputs_of(domain, some) if isinstance(domain, TopdownMaze) else np.empty((len(some), 0))
        for lane in range(len(some)):
            seen = found.experiences[lane]
            arrays = [*(seen.values() if isinstance(seen, dict) else [seen]), found.behavior[lane]]
            numbers = [found.fitness[lane], found.solved[lane], *arrays, outputs[lane]]
            content = b"".join(np.ascontiguousarray(array).tobytes() for array in numbers)
            digests.append(hashlib.sha256(content).hexdigest())
    return digests


def picture_derivatives():
    """A digest of what the convolutions of pictures and their derivatives come to."""
    rng = np.random.default_rng(13)
    genome, direction = rng.standard_normal((2, count_weights(3))).astype(np.float32) / 5
    seen = PicturePass(genome, 3, rng.integers(0, 256, (5, 64, 64)).astype(np.uint8))
    gradient = np.zeros_like(genome)
    seen.add_gradients(rng.standard_normal(seen.features.shape).astype(np.float32), gradient)
    arrays = seen.features, seen.tangents(direction), gradient
    return [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]


@pytest.mark.parametrize("case", CASES)
def test_a_genome_fares_the_same_alone_and_among_others(case):
    number = len(genomes_of(case)[1])
    together = lane_digests(case, number)
    assert len(set(together)) > number / 2
    assert lane_digests(case, 20) == together
    assert lane_digests(case, 1) == together


@pytest.mark.parametrize("case", CASES)
def test_genomes_of_another_network_are_refused_not_read(case):
    domain, genomes = genomes_of(case)
    longer = np.concatenate([genomes, genomes[:, :5]], axis=1)
    for other in (genomes[:, :-7], longer, genomes[0]):
        with pytest.raises(ValueError, match=rf"expected genomes of shape \(N, {genomes.shape[1]}\), got"):
            domain.evaluate(other)


@pytest.mark.parametrize("case", CASES)
def test_a_genome_in_any_layout_fares_the_same(case):
    domain, genomes = genomes_of(case)
    expected = domain.evaluate(genomes[:3]).fitness
    for same in (
        genomes[:3].astype(np.float64),
        np.asfortranarray(genomes[:3]),
        genomes[:3].repeat(2, 0)[::2],
    ):
        np.testing.assert_array_equal(domain.evaluate(same).fitness, expected)


def test_a_genome_fares_the_same_on_an_old_processor():
    there = json.loads(run_anew("-W", "ignore", __file__, **OLD_PROCESSOR))
    assert there.pop("processor") == "generic"
    assert there.pop("derivatives") == picture_derivatives()
    for case, digests in there.items():
        here = lane_digests(case, 20)
        differing = [lane for lane, digest in enumerate(digests) if digest != here[lane]]
        assert not differing, f"{case}: {len(differing)} of {len(here)} genomes fare otherwise there"


if __name__ == "__main__":
    from numba.core import config

    found = {case: lane_digests(case, 20) for case in CASES}
    processor = config.CPU_NAME  # type: ignore[attr-defined]
    print(json.dumps({"processor": processor, "derivatives": picture_derivatives()} | found))
