"""Genomes and experiences that are no plain arrays of numbers are refused with the cure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from refusing import INPUTS, PARENTS, module, operators, refuses
from safe_mutation import SMGSum

DENSE = torch.from_numpy(INPUTS)
STRANGE: list[tuple[str, Callable[[Tensor], Any], str]] = [
    ("sparse", lambda x: x.to_sparse(), r"got one of layout torch.sparse_coo: call \.to_dense\(\)"),
    (
        "csr",
        lambda x: x.reshape(-1, x.shape[-1]).to_sparse_csr(),
        r"layout torch.sparse_csr: call \.to_dense",
    ),
    (
        "scipy",
        lambda x: scipy.sparse.csr_matrix(np.atleast_2d(x.numpy())),
        r"sparse matrix as x\.toarray\(\)",
    ),
    ("meta", lambda x: x.to("meta"), "on the meta device, which holds no numbers"),
    ("complex", lambda x: x + 1j, r"of complex numbers \(torch.complex64\): .* torch\.view_as_real"),
    ("complex numpy", lambda x: x.numpy() + 1j, r"real numbers, got complex64 \(ndarray\): .* np\.stack"),
    (
        "quantised",
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
        r"of quantised numbers: call \.dequantize\(\)",
    ),
    (
        "objects",
        lambda x: x.numpy().astype(object),
        "numeric dtype, got object .*: give equal arrays as np.stack",
    ),
    ("strings", lambda x: x.numpy().astype(str), "numeric dtype, got <U"),
    ("dates", lambda x: x.numpy().astype(int).astype("M8[s]"), r"numeric dtype, got datetime64\[s\]"),
    (
        "masked",
        lambda x: np.ma.masked_less(x.numpy(), 0),
        r"without masked values, .*: call \.filled\(value\)",
    ),
]


@pytest.mark.parametrize(("make_one", "message"), [s[1:] for s in STRANGE], ids=[s[0] for s in STRANGE])
@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:.*quantiz")
def test_strange_experiences(make_one: Callable[[Tensor], Any], message: str) -> None:
    given = make_one(DENSE)
    refuses(module(), TypeError, f"expected experiences .*{message}", experiences=given)
    refuses(module(), TypeError, f"expected experiences .*{message}", experiences={"a": given})
    if make_one(DENSE[:1]).ndim:  # a list of them, one for each experience
        each = [make_one(one) for one in DENSE]
        refuses(module(), TypeError, f"expected experiences .*{message}", experiences=each)


@pytest.mark.parametrize(
    ("make_one", "message"),
    [s[1:] for s in STRANGE if "csr" not in s[0]],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.filterwarnings("ignore:.*quantiz")
def test_strange_genomes(make_one: Callable[[Tensor], Any], message: str) -> None:
    given = make_one(torch.from_numpy(PARENTS))
    with pytest.raises(
        TypeError, match=f"expected genomes .*({message}|as a numpy array|a floating-point dtype)"
    ):
        SMGSum(module(), sigma=0.1)(given, experiences=INPUTS)


@pytest.mark.parametrize("given", [PARENTS.astype(np.longdouble), PARENTS.tolist(), "w", None])
def test_genomes_that_could_not_come_back_as_they_came(given: Any) -> None:
    with pytest.raises(
        TypeError, match=r"expected genomes (of a floating-point dtype|as a numpy array), got|_namespace__"
    ):
        SMGSum(module(), sigma=0.1)(given, experiences=INPUTS)


def test_genomes_of_the_other_byte_order() -> None:
    swapped = PARENTS.astype(PARENTS.dtype.newbyteorder())
    message = r"expected genomes in this machine's byte order, got .f4: give genomes.astype"
    refuses(module(), TypeError, message, params=swapped)


def test_calls_inside_vmap() -> None:
    for op in operators(module()):
        with pytest.raises(
            TypeError, match=r"expected genomes as a plain tensor, got one inside torch\.vmap"
        ):
            torch.vmap(lambda w, op=op: op(w, experiences=INPUTS, generator=1))(torch.from_numpy(PARENTS))
