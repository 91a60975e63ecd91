"""Sensitivities against a naive loop over experiences and outputs, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import SMGSO, FlatNetwork, SMGAbs, SMGSum


def naive_jacobian(module: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """d y_k(X_i) / dw, shape (I, K, P): one backward pass for each experience and output."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    rows = []
    for i in range(len(inputs)):
        outputs = module(inputs[i : i + 1])[0]
        for k in range(len(outputs)):
            gradients = torch.autograd.grad(outputs[k], parameters, retain_graph=True, allow_unused=True)
            row = [
                torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)
            ]
            rows.append(torch.cat([g.reshape(-1) for g in row]).numpy())
    return np.array(rows).reshape(len(inputs), -1, sum(p.numel() for p in parameters))


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4), nn.SELU(), nn.Linear(4, 2)).double()


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(7, 3)))


def test_sum(module: nn.Module, inputs: torch.Tensor) -> None:
    jacobian = naive_jacobian(module, inputs)
    network = FlatNetwork(module)
    measured = SMGSum(network, sigma=1.0).sensitivity(network.flatten(), experiences=inputs)
    np.testing.assert_allclose(measured, np.sqrt((jacobian.sum(0) ** 2).sum(0)), rtol=1e-9)


def test_abs(module: nn.Module, inputs: torch.Tensor) -> None:
    jacobian = naive_jacobian(module, inputs)
    network = FlatNetwork(module)
    measured = SMGAbs(network, sigma=1.0).sensitivity(network.flatten(), experiences=inputs)
    np.testing.assert_allclose(measured, np.sqrt((np.abs(jacobian).mean(0) ** 2).sum(0)), rtol=1e-9)


def test_so(module: nn.Module, inputs: torch.Tensor) -> None:
    jacobian = naive_jacobian(module, inputs)
    network = FlatNetwork(module)
    op = SMGSO(network, sigma=0.3)
    _, info = op(network.flatten(), experiences=inputs, generator=5, return_info=True)
    delta = 0.3 * np.random.Generator(np.random.Philox(5)).standard_normal(network.num_params)
    flat = jacobian.reshape(-1, network.num_params)
    expected = np.sqrt(np.abs(2 / len(inputs) * flat.T @ (flat @ delta)))
    np.testing.assert_allclose(info.sensitivity, expected, rtol=1e-7)
