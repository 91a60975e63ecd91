"""How the published code computes its mutations, in today's Python and torch.

A port of the method of uber-research/safemutations (Python 2.7, torch 0.2), for comparison: one
individual at a time, weights written into a module, one backward pass for every output (SM-G-SUM), or
every output of every experience (SM-G-ABS), differentiation through the gradient (SM-G-SO), and an
unbracketed Brent search (SM-R). Its slips are left out: SM-R looks at the parent's own experiences.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn


def inject(module: nn.Module, genome: np.ndarray) -> None:
    """Write a genome into the parameters and forget their gradients."""
    start = 0
    for p in module.parameters():
        p.data = torch.from_numpy(genome[start : start + p.numel()].reshape(p.shape)).clone()
        p.grad = None
        start += p.numel()


def collect(module: nn.Module) -> np.ndarray:
    """The gradients of all parameters, as one vector."""
    return np.concatenate([p.grad.numpy().ravel() for p in module.parameters() if p.grad is not None])


def sum_sensitivity(module: nn.Module, genome: np.ndarray, experiences: Tensor) -> np.ndarray:
    """SM-G-SUM: one backward pass for each output."""
    inject(module, genome)
    outputs = module(experiences).flatten(0, -2)
    jacobian = []
    for k in range(outputs.shape[1]):
        module.zero_grad()
        one = torch.zeros_like(outputs)
        one[:, k] = 1
        outputs.backward(one, retain_graph=True)
        jacobian.append(collect(module))
    return np.sqrt((np.array(jacobian) ** 2).sum(0))


def abs_sensitivity(module: nn.Module, genome: np.ndarray, experiences: Tensor) -> np.ndarray:
    """SM-G-ABS: both passes for each output of each experience, and all those gradients kept."""
    inject(module, genome)
    rows, number = module(experiences).flatten(0, -2).shape
    jacobian = torch.zeros(number, len(genome), rows)
    steps = rows // len(experiences)
    for k in range(number):
        for i in range(rows):
            outputs = module(experiences[i // steps : i // steps + 1]).flatten(0, -2)
            module.zero_grad()
            one = torch.zeros_like(outputs)
            one[i % steps, k] = 1
            outputs.backward(one)
            jacobian[k, :, i] = torch.from_numpy(collect(module))
    return (jacobian.abs().mean(2) ** 2).sum(0).sqrt().numpy()


def so_sensitivity(
    module: nn.Module, genome: np.ndarray, experiences: Tensor, delta: np.ndarray
) -> np.ndarray:
    """SM-G-SO: the gradient of the gradient of the divergence along delta."""
    inject(module, genome)
    outputs = module(experiences).flatten(0, -2)
    loss = ((outputs - outputs.detach()) ** 2).sum(1).mean()
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    along = torch.cat([g.reshape(-1) for g in gradients]) @ torch.from_numpy(delta)
    found = torch.autograd.grad(along, parameters)
    return np.sqrt(np.abs(np.concatenate([g.numpy().ravel() for g in found])))


def mutate(
    name: str, module: nn.Module, genome: np.ndarray, experiences: Tensor, delta: np.ndarray
) -> np.ndarray:
    """The child of a gradient method: the step over its sensitivity, at most 0.2 for each weight."""
    if name == "SM-G-SO":
        sensitivity = so_sensitivity(module, genome, experiences, delta)
    else:
        compute = sum_sensitivity if name == "SM-G-SUM" else abs_sensitivity
        sensitivity = compute(module, genome, experiences)
    sensitivity[sensitivity == 0] = 1.0
    sensitivity[sensitivity < 0.01] = 0.01
    return genome + np.clip(delta / sensitivity, -0.2, 0.2)


def rescale(
    module: nn.Module, genome: np.ndarray, experiences: Tensor, delta: np.ndarray, target: float
) -> np.ndarray:
    """SM-R: Brent's method on the squared distance from the target, without a bracket."""
    direction = delta / np.linalg.norm(delta)

    def outputs_of(weights: np.ndarray) -> Tensor:
        inject(module, weights.astype(np.float32))
        with torch.no_grad():
            return module(experiences).flatten(0, -2)

    base = outputs_of(genome)

    def distance(magnitude: float) -> float:
        reached = (outputs_of(genome + magnitude * direction) - base).square().sum(1).mean()
        return (float(reached) - target) ** 2

    found = minimize_scalar(distance, tol=1e-4, options={"maxiter": 15})
    return (genome + found.x * direction).astype(np.float32)
