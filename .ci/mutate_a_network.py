"""Mutate a network with an installed safe_mutation where there is no gymnasium and no pygame."""

import importlib.util

import numpy as np
from torch import nn

import safe_mutation

for absent in ("gymnasium", "pygame", "gym_safemaze"):
    if importlib.util.find_spec(absent):
        raise SystemExit(f"expected an environment without {absent}")
network = safe_mutation.FlatNetwork(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)))
parent = network.flatten().numpy()
experiences = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
for name in ("control", "SM-R", "SM-G-ABS", "SM-G-SUM", "SM-G-SO"):
    operator = safe_mutation.make(name, network, intensity=0.01)
    child = operator(parent, experiences=experiences, generator=1)
    if child.shape != parent.shape or np.array_equal(child, parent):
        raise SystemExit(f"expected a new genome of shape {parent.shape} from {name}, got {child}")
print(f"safe_mutation {safe_mutation.__version__} alone mutates")
