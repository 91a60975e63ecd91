"""A search on a Ray cluster of two nodes, one of which dies and is replaced: it ends as it does here.

PYTHONPATH=examples python tests/lose_a_ray_node.py
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from ray.cluster_utils import Cluster

from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import Experiment
from evolution.ray_executor import RayExecutor
from evolution.workers import Breeder, Workers
from paper.table_s2 import experiment

DIES_AT, REPLACED_AT = 20, 60  # steps


def digests(search: Experiment, breeder: Breeder | None = None) -> Iterator[str]:
    """All that the search has come to after each step."""
    lockstep = search.lockstep()
    for _ in lockstep.run(breeder):
        state = lockstep.state()
        yield hashlib.sha256(b"".join(np.array(state[name]).tobytes() for name in sorted(state))).hexdigest()


def main() -> None:
    """Run it here and there."""
    torch.set_num_threads(1)
    search = experiment(RecurrentParity(), "SM-G-SUM", runs=2, max_evaluations=300)
    search = dataclasses.replace(search, group=1, lag=2)
    expected = list(digests(search))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    workers = Workers(search.domain, search.operator, partial(RayExecutor, cluster.address))
    found = []
    for step, digest in enumerate(digests(search, workers)):
        found.append(digest)
        if step == DIES_AT:
            cluster.remove_node(node, allow_graceful=False)
            print("a node has died", flush=True)
        if step == REPLACED_AT:
            node = cluster.add_node(num_cpus=1)
    workers.close()
    cluster.shutdown()
    assert found == expected
    print(f"all {len(found)} steps the same")


if __name__ == "__main__":
    main()
