"""What of torch is not public may be missing in another version: everything works without it."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS
from safe_mutation import SMGSO, SMGAbs, SMGSum, torch_internals
from safe_mutation.torch_internals import gaps_are_errors, gaps_are_silent, leaves_of_graph

NAMES = ("MLP", "MLP with LayerNorm", "nn.GRU", "transformer", "convolutional", "batched function, recurrent")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["all of functorch", "its tests", "its switch"])
def test_children_without_private_names(name: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    parents, experiences = kind.genomes(3), kind.experiences(5, torch.Generator().manual_seed(0))
    call = {"experiences": experiences, "generator": 1}
    makes = (SMGSum, SMGAbs, SMGSO)
    expected = [make(kind.network(), sigma=0.1)(parents, **call) for make in makes]

    class Lacking:
        """functorch without some of its names."""

        def __getattr__(self, attribute: str) -> object:
            if missing == "its tests" and attribute.startswith("is_"):
                raise AttributeError(attribute)
            if missing == "its switch" and "warning" in attribute:
                raise AttributeError(attribute)
            return getattr(torch._C._functorch, attribute)

    monkeypatch.setattr(torch_internals, "_functorch", None if missing.startswith("all") else Lacking())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop")
        for make, children in zip(makes, expected, strict=True):
            torch.testing.assert_close(
                make(kind.network(), sigma=0.1)(parents, **call), children, rtol=1e-7, atol=1e-9
            )


_cell = nn.GRUCell(2, 3).requires_grad_(False)


def looped(x: Tensor) -> Tensor:
    return _cell(x[None])[0]


def test_gaps_in_the_rules_of_vmap() -> None:
    x = torch.ones(4, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with gaps_are_silent():
            silent = torch.vmap(looped)(x)
            with gaps_are_silent():
                torch.vmap(looped)(x)
            torch.vmap(looped)(x)
        with pytest.raises(UserWarning, match="performance drop"):
            torch.vmap(looped)(x)
    assert silent.shape == (4, 3)
    filters = list(warnings.filters)
    with pytest.raises(UserWarning, match="performance drop"), gaps_are_errors():
        torch.vmap(looped)(x)
    assert warnings.filters == filters


def test_trying_out_waits_for_silence_to_end() -> None:
    """Else a thread that silences gaps would hide one from another that looks for it."""
    order = []
    inside, leave = threading.Event(), threading.Event()

    def silent() -> None:
        with gaps_are_silent():
            inside.set()
            leave.wait(10)
            order.append("silence ended")

    def tries() -> None:
        with gaps_are_errors():
            order.append("tried")

    threads = [threading.Thread(target=silent), threading.Thread(target=tries)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["silence ended", "tried"]


def test_leaves_of_a_graph() -> None:
    a, b, c = (torch.rand(3, requires_grad=True) for _ in range(3))
    found = leaves_of_graph((a * 2).sum() + torch.tanh(b)[0] + c.detach().sum())
    assert id(a) in found
    assert id(b) in found
    assert id(c) not in found
