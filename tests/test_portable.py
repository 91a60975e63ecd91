"""evolve.py --portable: the same search whatever instructions torch computes with, and in any batch."""

import hashlib
import os
import subprocess
import sys

import torch

import evolve


def outcome(*more: str) -> list[str]:
    """What each run of a short search has come to."""
    torch.set_num_threads(1)
    options = evolve.parse_arguments(
        ["breadcrumb-hard-maze", "--operator", "SM-G-SUM", "--runs", "3", "--max-evaluations", "262", *more]
    )
    lockstep = evolve.shared(options, evolve.experiment_of(options)).lockstep()
    for _ in lockstep.run():
        pass
    return [
        hashlib.sha256(b"".join(each.genome.tobytes() for each in replicate.algorithm.population)).hexdigest()
        for replicate in lockstep.replicates
    ]


def with_the_oldest_instructions(*more: str) -> list[str]:
    """The same from a process whose torch knows no vectors."""
    run = subprocess.run(
        [sys.executable, "-c", f"import test_portable; print(*test_portable.outcome(*{more}))"],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        | {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return run.stdout.split()


def test_neither_older_instructions_nor_another_group_make_a_difference():
    threads = torch.get_num_threads()
    try:
        usual = outcome("--portable")
        assert outcome("--portable", "--group", "1") == usual
        assert with_the_oldest_instructions("--portable") == usual
    finally:
        torch.set_num_threads(threads)


def test_it_is_a_part_of_the_record():
    options = evolve.parse_arguments(["recurrent-parity", "--portable"])
    assert evolve.experiment_of(options).record()["operator"]["precision"] == "float64"
