"""A module run once for many genomes: numbers of all of them side by side, features before experiences.

A module is called with ``Stacked`` inputs while its parameters are stacks (N, *shape). To the module
they look like tensors (I, ...); inside they are (N, ..., I), which is the layout in which small
layers are fastest: a linear layer is one ``baddbmm(bias, weight, values)``. torch hands every function
that is called on them to ``__torch_function__``, and ``stacked_functions`` says what it means for
stacks. What is not known there is refused, and the network is computed in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Unstackable(AttributeError):
    """A module does something that is not known for stacks."""


def _refuse(*args: Any) -> Any:
    raise Unstackable("numbers are compared, or taken out of torch")


class Stacked:
    """Numbers (I, ...) of each of N genomes.

    Args:
        values: (N, ..., I).
        weights: Storage of the genomes, by which their weights are recognised.
    """

    functions: dict[str, Callable[..., Any]] = {}
    """What torch's functions do, by name; filled by ``stacked_functions``."""

    def __init__(self, values: Tensor, weights: int) -> None:
        self.values, self.weights = values, weights

    @classmethod
    def of(cls, inputs: Tensor, params: Tensor) -> Stacked:
        """Stack inputs (N, I, ...) of genomes (N, P)."""
        return cls(inputs.movedim(1, -1), params.untyped_storage().data_ptr())

    def rows(self) -> Tensor:
        """The numbers as (N, I, ...)."""
        return self.values.movedim(-1, 1)

    def like(self, values: Tensor) -> Stacked:
        """Other values of the same genomes and experiences."""
        return Stacked(values, self.weights)

    @property
    def shape(self) -> torch.Size:
        """(I, ...), as a module sees it."""
        return torch.Size((self.values.shape[-1], *self.values.shape[1:-1]))

    @property
    def ndim(self) -> int:
        """Number of dimensions, as a module sees it."""
        return self.values.ndim - 1

    @property
    def dtype(self) -> torch.dtype:
        """Number format."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.values.device

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one of its numbers."""
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return self.values.shape[-1]

    def __bool__(self) -> bool:
        raise Unstackable("a decision depends on numbers")

    __float__ = __int__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __array__ = _refuse
    __hash__ = object.__hash__

    def axis(self, dim: int, ndim: int | None = None) -> int:
        """Which axis of the values a module means; never the one of experiences."""
        ndim = self.ndim if ndim is None else ndim
        dim = dim + ndim if dim < 0 else dim
        if not 0 < dim < ndim:
            raise Unstackable("something is done along the experiences")
        return dim

    def lift(self, other: Any) -> Any:
        """The values of something that is to be combined with this entry by entry."""
        if isinstance(other, Stacked):
            if other.ndim != self.ndim:
                raise Unstackable("stacks of different dimensions are combined")
            return other.values
        if not isinstance(other, Tensor) or other.ndim == 0:
            return other
        if other.untyped_storage().data_ptr() == self.weights:  # a weight (N, ...)
            missing = self.ndim - other.ndim
            if missing < 0:
                raise Unstackable("a weight has more dimensions than what it is combined with")
            return other[(slice(None), *[None] * missing)].unsqueeze(-1)
        if other.ndim < self.ndim:  # a constant that all experiences share
            return other.unsqueeze(-1)
        return other.movedim(0, -1)

    def __getitem__(self, index: Any) -> Stacked:
        index = index if isinstance(index, tuple) else (index,)
        if any(not (one is None or one is Ellipsis or isinstance(one, (int, slice))) for one in index):
            raise Unstackable("an index is no number and no slice")
        if Ellipsis in index:
            place = index.index(Ellipsis)
            missing = self.ndim - sum(one is not None and one is not Ellipsis for one in index)
            index = (*index[:place], *[slice(None)] * missing, *index[place + 1 :])
        if index[0] != slice(None):
            raise Unstackable("some of the experiences are chosen")
        return self.like(self.values[index])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in Stacked.functions:
            raise Unstackable(f"{name!r} is not known for stacks")
        return lambda *args, **kwargs: Stacked.functions[name](
            getattr(Tensor, name, None), self, *args, **kwargs
        )

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name not in Stacked.functions:
            raise Unstackable(f"{name!r} is not known for stacks")
        return Stacked.functions[name](func, *args, **(kwargs or {}))


def _operator(name: str) -> Callable[..., Any]:
    return lambda *args: Stacked.functions[name](None, *args)


for _name in (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "matmul",
):  # fmt: skip
    setattr(Stacked, f"__{_name}__", _operator(f"__{_name}__"))
