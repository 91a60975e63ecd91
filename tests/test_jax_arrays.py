"""JAX arrays go in and come back, through DLPack; run by hand where JAX is installed."""

import os

import numpy as np
import pytest
from torch import nn

from safe_mutation import SMGSO, FlatNetwork

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")  # before JAX is imported
jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

NETWORK = FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
X = np.random.default_rng(0).random((10, 3), dtype=np.float32)
OP = SMGSO(NETWORK, divergence=0.03, experiences=X)
PARENTS = np.random.default_rng(1).normal(size=(4, NETWORK.num_params)).astype(np.float32)


def test_children_are_those_of_numpy_genomes():
    for genomes in (PARENTS, PARENTS[0]):
        children = OP(jnp.asarray(genomes), generator=1)
        assert isinstance(children, jax.Array)
        np.testing.assert_array_equal(np.asarray(children), OP(genomes, generator=1))


def test_dtypes_experiences_and_each_parents_own():
    children = OP(jnp.asarray(PARENTS, dtype=jnp.bfloat16), generator=1)
    assert children.dtype == jnp.bfloat16
    sets = np.stack([X + n for n in range(4)])
    children = OP(jnp.asarray(PARENTS), experiences=jnp.asarray(sets), per_parent=True, generator=1)
    np.testing.assert_array_equal(
        np.asarray(children), OP(PARENTS, experiences=sets, per_parent=True, generator=1)
    )


def test_children_stay_on_the_device_of_their_parents():
    if len(jax.devices()) < 2:
        pytest.skip("JAX was imported with one device")
    for device in jax.devices()[:2]:
        assert OP(jax.device_put(PARENTS, device), generator=1).devices() == {device}
    rows = jax.sharding.PartitionSpec("rows")
    split = jax.sharding.NamedSharding(jax.make_mesh((2,), ("rows",)), rows)
    children = OP(jax.device_put(PARENTS, split), generator=1)
    assert children.sharding == split
    np.testing.assert_array_equal(np.asarray(children), OP(PARENTS, generator=1))


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap])
def test_traced_arrays_are_refused_with_the_way_out(transform):
    with pytest.raises(TypeError, match=r"traces .*: call operators outside .* or through jax\.pure_call"):
        transform(lambda genomes: OP(genomes, generator=1))(jnp.asarray(PARENTS))


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
def test_keys_are_refused_with_the_seed_to_give(make_key):
    key = make_key(3)
    for given in (lambda: OP(PARENTS, generator=key), lambda: SMGSO(NETWORK, divergence=0.03, generator=key)):
        with pytest.raises(
            TypeError, match=r"got a JAX PRNG key: pass an int seed, such as int\(jax\.random"
        ):
            given()
    seed = int(jax.random.bits(key))
    np.testing.assert_array_equal(OP(PARENTS, generator=seed), OP(PARENTS, generator=seed))
