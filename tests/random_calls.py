"""Random calls of the operators against float64 loops over every single experience.

    python tests/random_calls.py 10000            # prints the worst relative errors, and in which calls
    python tests/random_calls.py 1 --first 1234   # call 1234 alone

Nothing that is given may change, no child may be NaN, and what is wrong has to be refused.
"""

from __future__ import annotations

import argparse
import pickle
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from network_kinds import naive_jacobian
from random_call import Call, network_of, spoil
from safe_mutation import FlatNetwork
from safe_mutation.experiences import map_leaves

# Largest relative errors by the precision of the genomes.
TOLERANCES = {"float64": 1e-8, "float32": 2e-4, "bfloat16": 2e-2, "float16": 2e-3}


def check(seed: int) -> Iterator[tuple[str, float]]:
    """Make call number ``seed`` and yield its relative errors.

    Raises:
        AssertionError: If something is wrong that is no matter of rounding.
    """
    call = Call(seed)
    rng = np.random.default_rng([seed, 1])
    if (call.name != "control" or call.wanted) and rng.random() < 0.15:
        yield refused(call, spoil(call, rng)), 0.0
        return
    before = bytes_of(call)
    children, info = call.operator(call.given, **call.arguments)
    assert bytes_of(call) == before, "what was given has been modified"
    assert (type(children), children.dtype, children.shape) == (
        type(call.given), call.given.dtype, call.given.shape
    )  # fmt: skip
    found = torch.as_tensor(children).double().reshape(call.params.shape)
    assert torch.isfinite(found).all()
    kept = ~torch.from_numpy(call.mask)
    assert torch.equal(found[:, kept], call.params[:, kept]), "masked weights moved"
    for name, error in errors(call, found, info):
        yield f"{name}, {call.precision}", error


def refused(call: Call, wrong: str) -> str:
    try:
        call.operator(call.given, **call.arguments)
    except (TypeError, ValueError) as error:
        assert "expected" in str(error), (wrong, error)
        return f"refused: {wrong}"
    raise AssertionError(f"{wrong} was accepted")


def errors(call: Call, found: Tensor, info: Any) -> Iterator[tuple[str, float]]:
    """What the call did, relative to the size of what it should have done."""
    for n, params in enumerate(call.params):
        step = None
        if call.name in ("control", "SM-R"):
            along = call.noise[n] / call.noise[n].norm()
            length = (found[n] - params) @ along
            step = length * along if call.wanted else call.options["intensity"] * call.noise[n]
        else:
            measured = torch.as_tensor(info.sensitivity).double().reshape(call.params.shape)[n]
            yield f"{call.name} sensitivity", sensitivity_error(call, n, measured)
            step = None if call.wanted else scaled_step(call, n, measured)
        if step is not None:
            size = float(params.abs().max() + step.abs().max())
            yield f"{call.name} child", float((found[n] - params - step).abs().max()) / size
        if call.precision in ("float64", "float32"):  # else the child has been rounded since
            yield f"{call.name} divergence", divergence_error(call, n, found[n], info)


def sensitivity_error(call: Call, n: int, measured: Tensor) -> float:
    """Relative to what the largest sensitivity would be if nothing cancelled.

    Where outputs are saturated single precision loses more than that, in a loop too: it is taken off.
    """
    measured = measured.square() if call.name == "SM-G-SO" else measured
    expected, size = expected_sensitivity(call, n, torch.float64)
    if size.max() == 0:
        return float(measured.abs().max())
    misses = (measured - expected).abs()
    if call.compute == torch.float32 and misses.max() > 1e-4 * size.max():
        misses -= 2 * (expected_sensitivity(call, n, torch.float32)[0] - expected).abs()
    return float(misses.max().clamp_min(0) / size.max())


def expected_sensitivity(call: Call, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Sensitivities (P,) by single gradients in this precision, and what they were if nothing cancelled."""
    network, params = network_of(call.kind, dtype == torch.float64), call.params[n].to(dtype)
    own = [map_leaves(lambda x: x.to(dtype) if x.is_floating_point() else x, one) for one in call.own[n]]
    jacobian = torch.cat([naive_jacobian(network, params, x) for x in own]).double()  # (R, K, P)
    if call.name == "SM-G-SO":
        direction = call.options.get("intensity", 1.0) * call.noise[n]
        if call.options["direction"] == "unit" and not call.wanted:  # where a length cancels out
            direction = direction / direction.norm()
        rows = jacobian.flatten(0, 1) * (2 / len(jacobian)) ** 0.5
        return (rows.T @ (rows @ direction)).abs(), rows.abs().T @ (rows.abs() @ direction.abs())
    if call.name == "SM-G-SUM":
        size = jacobian.abs().sum(0).square().sum(0).sqrt()
        return jacobian.sum(0).square().sum(0).sqrt(), size
    means = jacobian.abs().mean(0) if call.name == "SM-G-ABS" else jacobian.square().mean(0).sqrt()
    expected = means.square().sum(0).sqrt()
    return expected, expected


def scaled_step(call: Call, n: int, measured: Tensor) -> Tensor:
    resolution = torch.finfo(call.compute).eps ** (0.5 if call.name == "SM-G-SO" else 1.0)
    without = measured <= resolution * measured.max()
    if call.options["floor"] is None:
        counted = torch.from_numpy(call.mask) & ~without
        scale = (measured**2 + 0.01 * (measured[counted] ** 2).mean().nan_to_num()).sqrt()
        scale[without] = 1 / (1 / scale[counted]).mean() if counted.any() else 1.0
    else:
        scale = torch.where(without, call.options["zero"], measured).clamp_min(call.options["floor"])
    clip = call.options["weight_clip"] or float("inf")
    return (call.options["intensity"] * call.noise[n] / scale).clamp(-clip, clip)


def divergence_error(call: Call, n: int, child: Tensor, info: Any) -> float:
    network = network_of(call.kind, True)
    before, after = (
        torch.cat([outputs_of(network, genome, x) for x in call.own[n]]) for genome in (call.params[n], child)
    )
    expected = float((before - after).square().sum(1).mean())
    reported = float(np.atleast_1d(info.divergence)[n])
    status = [info.status] if isinstance(info.status, str) else info.status
    if status and status[n] == "converged":
        tolerance = call.operator.tolerance
        assert abs(reported / call.options["divergence"] - 1) <= tolerance + 1e-9, "said to be converged"
    return abs(reported**0.5 - expected**0.5) / (float(before.abs().max()) + expected**0.5 or 1.0)


def outputs_of(network: Any, genome: Tensor, experience: Any) -> Tensor:
    """Outputs (T, K) for one experience as a batch of one."""
    with torch.no_grad():
        if isinstance(network, FlatNetwork):
            return network(genome, experience).flatten(0, -2)
        return network(genome[None], map_leaves(lambda x: x[None], experience)).flatten(0, -2)


def bytes_of(call: Call) -> bytes:
    return pickle.dumps(numbers((call.given, call.experiences, call.options.get("mask"))))


def numbers(values: Any) -> Any:
    """All numbers in a structure, as something that pickles to the same bytes if they are the same."""
    if isinstance(values, (list, tuple)):
        return [numbers(one) for one in values]
    if isinstance(values, Mapping):
        return {key: numbers(value) for key, value in values.items()}
    if isinstance(values, Tensor):
        values = values.float() if values.dtype == torch.bfloat16 else values
        return values.numpy().tobytes()
    return values.tobytes() if isinstance(values, np.ndarray) else None


def run(first: int, number: int) -> tuple[dict[str, tuple[float, int]], Counter[str], list[int]]:
    """The worst error of each quantity and its call, how often it was checked, and the calls that failed."""
    worst: dict[str, tuple[float, int]] = {}
    counted: Counter[str] = Counter()
    failed = []
    for seed in range(first, first + number):
        try:
            for name, error in check(seed):
                counted[name] += 1
                worst[name] = max(worst.get(name, (0.0, seed)), (error, seed))
                if error > TOLERANCES.get(name.split(", ")[-1], 0.0):
                    raise AssertionError(f"{name}: relative error {error:.2g}")
        except Exception as error:
            failed.append(seed)
            print(f"call {seed} ({Call(seed)}): {''.join(traceback.format_exception(error, limit=-3))}")
    return worst, counted, failed


def main() -> None:
    """Run the calls and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("calls", type=int, help="how many calls")
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    worst, counted, failed = run(arguments.first, arguments.calls)
    print("| quantity | checked | worst relative error | in call |")
    print("|---|---|---|---|")
    for name in sorted(worst):
        error, seed = worst[name]
        print(f"| {name} | {counted[name]:,} | {error:.1e} | {seed} |")
    print(f"{arguments.calls:,} calls, {len(failed)} failed: {failed}")


if __name__ == "__main__":
    main()
