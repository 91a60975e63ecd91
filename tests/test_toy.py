"""The toy model: its network, its tasks, and hill climbing."""

import numpy as np
import pytest
import torch

from evolution.domains.toy import TASKS, climb, squared_error, toy_network
from paper.figures import toy_figure


def test_the_network_is_the_papers_formula():
    weights = torch.tensor([[0.5, -2.0]])
    outputs = toy_network(weights, torch.tensor([[[3.0, 7.0]]]))
    torch.testing.assert_close(outputs, torch.tensor([[[100 * 0.5 * 3, 0.1 * -2 * 7]]]))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_right_weights_have_no_error_and_zero_weights_that_of_the_targets(task):
    right = np.array([[0.01, 10.0]])
    assert squared_error(right, task)[0] == pytest.approx(0, abs=1e-10)
    assert squared_error(np.zeros((1, 2)), task)[0] == np.square(task.experiences).sum()


def test_errors_never_grow_and_repeat_with_the_seed():
    errors = climb("SM-G-SUM", TASKS["medium"], runs=3, seed=1, evaluations=200)
    assert errors.shape == (3, 11)
    assert (np.diff(errors, axis=1) <= 0).all()
    np.testing.assert_array_equal(errors, climb("SM-G-SUM", TASKS["medium"], runs=3, seed=1, evaluations=200))


def test_only_per_experience_sensitivities_survive_gradient_washout():
    washout = TASKS["gradient washout"]
    absolute = climb("SM-G-ABS", washout, runs=5, seed=2, evaluations=800)[:, -1]
    summed = climb("SM-G-SUM", washout, runs=5, seed=2, evaluations=800)[:, -1]
    assert np.median(absolute) < 0.05 < 0.5 < np.median(summed)


def test_claims_count_the_solved_runs():
    solved, failed = np.full((20, 3), 1e-4), np.full((20, 3), 1.0)
    safe = ("SM-R", "SM-G-ABS", "SM-G-SUM", "SM-G-SO")
    errors = {name: {method: solved for method in safe} | {"control": failed} for name in TASKS}
    for name in ("medium", "medium (code)", "gradient washout"):
        errors[name]["SM-R"] = failed
    errors["gradient washout"]["SM-G-SUM"] = failed
    assert [claim.holds for claim in toy_figure.claims(errors)] == [True] * 5
    errors["easy"]["control"] = solved
    assert not toy_figure.claims(errors)[0].holds
