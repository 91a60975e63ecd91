"""What torch's functions do on stacks: see ``stacked``.

Each takes the function that a module called and its arguments. Dimensions that modules name are turned
into axes of the values (N, ..., I), where an axis between the first and the last keeps its number.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from safe_mutation.recurrent_steps import STEPS, run_layers
from safe_mutation.stacked import Stacked, Unstackable

ENTRY_BY_ENTRY = (
    "tanh", "relu", "sigmoid", "selu", "elu", "celu", "gelu", "silu", "mish", "softplus", "leaky_relu",
    "hardtanh", "relu6", "hardsigmoid", "hardswish", "softsign", "tanhshrink", "logsigmoid", "log_sigmoid",
    "exp", "log", "sqrt", "rsqrt", "square", "abs", "sin", "cos", "atan", "neg", "clamp", "clip", "float",
    "double", "to", "clone", "detach", "nan_to_num", "zeros_like", "ones_like", "tanh_", "relu_", "sigmoid_",
)  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "true_divide": operator.truediv,
    "pow": operator.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__truediv__": operator.truediv,
    "__pow__": operator.pow,
    "__radd__": operator.add,
    "__rmul__": operator.mul,
    "__rsub__": lambda a, b: b - a,
    "__rtruediv__": lambda a, b: b / a,
}


def entry_by_entry(func: Callable[..., Any], x: Stacked, *args: Any, **kwargs: Any) -> Stacked:
    """A function of single numbers, with numbers for arguments."""
    if any(isinstance(value, (Tensor, Stacked)) for value in (*args, *kwargs.values())):
        raise Unstackable("a function of single numbers has a tensor for an argument")
    return x.like(func(x.values, *args, **kwargs))


def combine(function: Callable[[Any, Any], Any]) -> Callable[..., Stacked]:
    """A function of two numbers."""

    def combined(func: Any, a: Any, b: Any, **kwargs: Any) -> Stacked:
        if kwargs:
            raise Unstackable("arguments that are not known for stacks")
        owner = a if isinstance(a, Stacked) else b
        return owner.like(function(owner.lift(a), owner.lift(b)))

    return combined


def linear(func: Any, x: Stacked, weight: Tensor, bias: Tensor | None = None) -> Stacked:
    """Apply a linear layer to the last dimension."""
    if x.ndim == 2:
        return x.like(linear_of_values(x.values, weight, bias))
    # All dimensions between are like experiences to the layer.
    side_by_side = x.values.movedim(-2, 1)
    found = linear_of_values(side_by_side.flatten(2), weight, bias)
    return x.like(found.unflatten(2, side_by_side.shape[2:]).movedim(1, -2))


def linear_of_values(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same for values (N, in, I): (N, out, I). Weights that are frozen have no first axis."""
    weight = weight if weight.ndim == 3 else weight.expand(len(values), *weight.shape)
    if bias is None:
        return torch.bmm(weight, values)
    bias = bias if bias.ndim == 2 else bias.expand(len(values), *bias.shape)
    return torch.baddbmm(bias.unsqueeze(-1), weight, values)


def matmul(func: Any, x: Stacked, weight: Tensor) -> Stacked:
    """Multiply the last dimension with a weight (N, in, out)."""
    if not isinstance(x, Stacked) or x.ndim != 2 or isinstance(weight, Stacked) or weight.ndim != 3:
        raise Unstackable("a product that is not known for stacks")
    return x.like(weight.mT @ x.values)


def along(func: Callable[..., Any], x: Stacked, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """A function along dimensions that it names: softmax, mean, chunk, ..."""
    if isinstance(dim, (tuple, list)):
        axes: Any = [x.axis(one) for one in dim]
    elif isinstance(dim, int):
        axes = x.axis(dim)
    else:
        raise Unstackable("a function that names no dimension")
    return wrapped(x, func(x.values, axes, *args, **kwargs))


def softmax(func: Callable[..., Any], x: Stacked, dim: int | None = None, **kwargs: Any) -> Stacked:
    """Softmax or its logarithm."""
    if dim is None or kwargs.get("dtype") is not None:
        raise Unstackable("a softmax that names no dimension")
    return x.like(func(x.values, x.axis(dim)))


def parts(func: Callable[..., Any], x: Stacked, size: Any, dim: int = 0) -> Any:
    """Split or chunk."""
    return wrapped(x, func(x.values, size, x.axis(dim)))


def unbind(func: Callable[..., Any], x: Stacked, dim: int = 0) -> Any:
    """One stack for each place along a dimension."""
    return wrapped(x, x.values.unbind(x.axis(dim)))


def cat(func: Any, stacks: Sequence[Any], dim: int = 0) -> Stacked:
    """Join along a dimension."""
    first = next(one for one in stacks if isinstance(one, Stacked))
    number = len(first.values)
    values = [first.lift(one) for one in stacks]
    values = [one.expand(number, *one.shape[one.ndim - first.ndim :]) for one in values]
    return first.like(torch.cat(values, first.axis(dim)))


def stack(func: Any, stacks: Sequence[Stacked], dim: int = 0) -> Stacked:
    """Join along a new dimension."""
    first = stacks[0]
    return first.like(torch.stack([first.lift(one) for one in stacks], first.axis(dim, first.ndim + 1)))


def flatten(func: Any, x: Stacked, start_dim: int = 0, end_dim: int = -1) -> Stacked:
    """Join dimensions."""
    if x.ndim == 1:
        raise Unstackable("the experiences are flattened")
    return x.like(x.values.flatten(x.axis(start_dim), x.axis(end_dim)))


def reshape(func: Any, x: Stacked, *shape: Any) -> Stacked:
    """Another shape with the experiences first."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if sizes[0] not in (len(x), -1) or len(sizes) < 2 or (sizes[0] == -1 and -1 in sizes[1:]):
        raise Unstackable("a shape that does not begin with the experiences")
    return x.like(x.values.reshape(len(x.values), *sizes[1:], len(x)))


def unsqueeze(func: Any, x: Stacked, dim: int) -> Stacked:
    """Add a dimension."""
    return x.like(x.values.unsqueeze(x.axis(dim, x.ndim + 1)))


def transpose(func: Any, x: Stacked, first: int, second: int) -> Stacked:
    """Exchange two dimensions."""
    return x.like(x.values.transpose(x.axis(first), x.axis(second)))


def new_zeros(func: Any, x: Stacked, *shape: Any, **kwargs: Any) -> Stacked:
    """Zeros for each experience, as a first state."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if sizes[0] != len(x) or kwargs:
        raise Unstackable("a shape that does not begin with the experiences")
    return x.like(x.values.new_zeros(len(x.values), *sizes[1:], len(x)))


def unchanged(func: Any, x: Stacked, *args: Any, **kwargs: Any) -> Stacked:
    """What only concerns the layout."""
    return x


def dropout(func: Any, x: Stacked, p: float = 0.5, training: bool = True, inplace: bool = False) -> Stacked:
    """Dropout, which does nothing in eval mode."""
    if training and p > 0:
        raise Unstackable("dropout")
    return x


def layer_norm(
    func: Any,
    x: Stacked,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Stacked:
    """Normalise the last dimensions."""
    axes = tuple(range(x.values.ndim - 1 - len(normalized_shape), x.values.ndim - 1))
    centred = x.values - x.values.mean(axes, keepdim=True)
    found = centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + eps)
    found = found if weight is None else found * x.lift(weight)
    return x.like(found if bias is None else found + x.lift(bias))


def batch_norm(
    func: Any,
    x: Stacked,
    mean: Tensor,
    variance: Tensor,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Stacked:
    """Normalise features by running statistics."""
    if training or x.ndim != 2:
        raise Unstackable("batch normalisation by the batch, or of pictures")
    found = (x.values - x.lift(mean)) * torch.rsqrt(x.lift(variance) + eps)
    found = found if weight is None else found * x.lift(weight)
    return x.like(found if bias is None else found + x.lift(bias))


def embedding(func: Any, x: Stacked, weight: Tensor, *args: Any, **kwargs: Any) -> Stacked:
    """Rows of a table (N, rows, width) that integers choose."""
    settings = ("padding_idx", "max_norm", "scale_grad_by_freq", "sparse")
    if weight.ndim != 3 or args or any(kwargs.get(name) not in (None, False) for name in settings):
        raise Unstackable("an embedding that is not known for stacks")
    chosen = x.values.flatten(1).unsqueeze(-1).expand(-1, -1, weight.shape[2])
    return x.like(weight.gather(1, chosen).unflatten(1, x.values.shape[1:]).movedim(-1, -2))


def recurrent(
    func: Callable[..., Any],
    x: Stacked,
    states: Any,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    chance: float,
    training: bool,
    both_ways: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    """Recurrent layers over sequences (I, T, features)."""
    if not batch_first or x.ndim != 3:
        raise Unstackable("sequences whose first axis is time")
    states = states if isinstance(states, (tuple, list)) else (states,)
    found, ends = run_layers(
        STEPS[func.__name__],
        x.values.unbind(1),
        tuple(_first_states(x, one) for one in states),
        weights,
        layers=layers,
        directions=2 if both_ways else 1,
        linear=linear_of_values,
        axis=-2,
    )
    last = (Layers([x.like(one) for one in of_layers]) for of_layers in zip(*ends, strict=True))
    return x.like(torch.stack(found, 1)), *last


def cell(func: Callable[..., Any], x: Stacked, state: Any, *weights: Any) -> Any:
    """A step of a recurrent cell."""
    states = state if isinstance(state, (tuple, list)) else (state,)
    values = tuple(x.lift(one).expand(len(x.values), -1, -1) for one in states)
    given = [weight for weight in weights if weight is not None]
    found = STEPS[func.__name__.removesuffix("_cell")](x.values, values, given, linear_of_values, -2)
    return wrapped(x, found if len(states) > 1 else found[0])


class Layers:
    """Last states of recurrent layers, one stack for each layer and direction."""

    def __init__(self, stacks: list[Stacked]) -> None:
        self._stacks = stacks

    def __getitem__(self, layer: int) -> Stacked:
        if not isinstance(layer, int):
            raise Unstackable("states of several layers at once")
        return self._stacks[layer]

    def squeeze(self, dim: int) -> Stacked:
        """The state of the only layer."""
        if dim != 0 or len(self._stacks) > 1:
            raise Unstackable("states of several layers at once")
        return self._stacks[0]


def wrapped(x: Stacked, values: Any) -> Any:
    """One stack, or a tuple of them."""
    return x.like(values) if isinstance(values, Tensor) else tuple(x.like(one) for one in values)


def _first_states(x: Stacked, states: Any) -> Tensor:
    """First states (layers, I, hidden) as (layers, N, hidden, I)."""
    if not isinstance(states, Tensor):
        raise Unstackable("first states that are computed")
    values = states.movedim(1, -1).unsqueeze(1)
    return values.expand(len(states), len(x.values), *values.shape[2:])


Stacked.functions.update(
    {name: entry_by_entry for name in ENTRY_BY_ENTRY}
    | {"__neg__": lambda func, x: x.like(-x.values)}
    | {name: combine(function) for name, function in OPERATORS.items()}
    | {name: along for name in ("mean", "sum", "amax", "amin", "squeeze", "narrow", "select", "std", "var")}
    | {name: parts for name in ("chunk", "split")}
    | {name: recurrent for name in STEPS}
    | {f"{name}_cell": cell for name in STEPS}
    | {
        "softmax": softmax,
        "log_softmax": softmax,
        "unbind": unbind,
        "cat": cat,
        "concat": cat,
        "stack": stack,
    }
    | {
        "flatten": flatten,
        "reshape": reshape,
        "view": reshape,
        "unsqueeze": unsqueeze,
        "transpose": transpose,
    }
    | {
        "new_zeros": new_zeros,
        "contiguous": unchanged,
        "dropout": dropout,
        "linear": linear,
        "matmul": matmul,
    }
    | {"__matmul__": matmul, "layer_norm": layer_norm, "batch_norm": batch_norm, "embedding": embedding}
)
