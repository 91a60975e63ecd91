"""The toy model: its network, its tasks, and hill climbing."""

import numpy as np
import pytest
import torch

from evolution.domains.toy import TASKS, Toy
from paper.figures.toy_errors import Climbs, claims, climb


def errors_of(method, task, runs, seed, steps, tmp_path):
    return climb(Climbs(tmp_path / "errors.json", seed, runs, steps).experiment(task, method))


def test_the_network_is_the_papers_formula():
    weights = torch.tensor([[0.5, -2.0]])
    outputs = Toy().network(weights, torch.tensor([[[3.0, 7.0]]]))
    torch.testing.assert_close(outputs, torch.tensor([[[100 * 0.5 * 3, 0.1 * -2 * 7]]]))


@pytest.mark.parametrize("task", TASKS)
def test_the_right_weights_have_no_error_and_zero_weights_that_of_the_targets(task):
    domain = Toy().variant(task)
    genomes = np.array([[0.01, 10.0], [0, 0]], dtype=np.float32)
    found = domain.evaluate(genomes)
    np.testing.assert_allclose(-found.fitness, [0, np.square(TASKS[task]).sum()], atol=1e-10)
    assert found.solved.tolist() == [True, False]
    np.testing.assert_array_equal(found.experiences[0], TASKS[task])


def test_errors_never_grow_and_repeat_with_the_seed(tmp_path):
    errors = errors_of("SM-G-SUM", "medium", 3, 1, 200, tmp_path)
    assert errors.shape == (3, 11)
    assert (np.diff(errors, axis=1) <= 0).all()
    np.testing.assert_array_equal(errors, errors_of("SM-G-SUM", "medium", 3, 1, 200, tmp_path))
    assert (errors != errors_of("SM-G-SUM", "medium", 3, 2, 200, tmp_path)).any()


def test_only_per_experience_sensitivities_survive_gradient_washout(tmp_path):
    absolute = errors_of("SM-G-ABS", "gradient washout", 5, 2, 800, tmp_path)[:, -1]
    summed = errors_of("SM-G-SUM", "gradient washout", 5, 2, 800, tmp_path)[:, -1]
    assert np.median(absolute) < 0.05 < 0.5 < np.median(summed)


def test_claims_count_the_solved_runs():
    solved, failed = np.full((20, 3), 1e-4), np.full((20, 3), 1.0)
    safe = ("SM-R", "SM-G-ABS", "SM-G-SUM", "SM-G-SO")
    errors = {name: {method: solved for method in safe} | {"control": failed} for name in TASKS}
    for name in ("medium", "medium (code)", "gradient washout"):
        errors[name]["SM-R"] = failed
    errors["gradient washout"]["SM-G-SUM"] = failed
    assert [claim.holds for claim in claims(errors)] == [True] * 5
    errors["easy"]["control"] = solved
    assert not claims(errors)[0].holds


def test_an_unknown_task_lists_the_known():
    with pytest.raises(ValueError, match=r"expected a variant of toy out of \['easy'.*got 'hard'"):
        Toy().variant("hard")
