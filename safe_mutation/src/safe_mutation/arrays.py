"""Arrays of any library as tensors, and back: numpy, torch, and what speaks DLPack (JAX, CuPy, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.torch_internals import is_transformed


def read_array(values: Any, what: str) -> Tensor:
    """A tensor of real numbers, without a copy where there need be none.

    Args:
        values: A tensor, a numpy array, an array that offers ``__dlpack__``, or what numpy makes an array of.
        what: What it is, for the messages: "experiences", "genomes".

    Raises:
        TypeError: If it is no dense array of real numbers in memory; the message says how to make one of it.
        ValueError: If it is a list of unequal parts.
    """
    if isinstance(values, Tensor):
        return _read_tensor(values, what)
    if hasattr(values, "__dlpack__") and not isinstance(values, (np.ndarray, np.generic)):
        try:
            shared = torch.from_dlpack(values)
        except (BufferError, AttributeError, TypeError, RuntimeError, ValueError):
            return _read_numpy(values, what)  # of a device or kind that torch does not know
        return _read_tensor(shared, what)
    return _read_numpy(values, what)


def is_array(values: Any) -> bool:
    """Whether it is an array of some library, rather than a number or a container of arrays."""
    if isinstance(values, np.generic):
        return False
    return isinstance(values, (Tensor, np.ndarray)) or hasattr(values, "__dlpack__")


def way_back(values: Any, what: str) -> Callable[[Tensor], Any]:
    """What makes an array of the same library of a tensor.

    Raises:
        TypeError: If it is no array, or its library does not say how to make one.
    """
    if isinstance(values, Tensor):
        return lambda tensor: tensor
    if isinstance(values, np.ndarray):
        return lambda tensor: tensor.cpu().numpy()
    namespace = getattr(values, "__array_namespace__", None)
    if namespace is None or not hasattr(values, "__dlpack__"):
        cure = f": give np.array({what})" if isinstance(values, (list, tuple)) else ""
        raise TypeError(
            f"expected {what} as a numpy array or a tensor (or an array with __dlpack__ and "
            f"__array_namespace__, such as JAX has), got {type(values).__name__}{cure}"
        )
    from_dlpack = namespace().from_dlpack

    def back(tensor: Tensor) -> Any:
        array = from_dlpack(tensor.contiguous())
        # To where the genomes were, which torch need not know of.
        device = getattr(values, "device", None)
        return array if device is None or array.device == device else array.to_device(device)

    return back


def require_dense(tensor: Tensor, what: str) -> None:
    """Refuse a tensor that is not of real numbers in memory.

    Raises:
        TypeError: If it is not; the message says how to make it so.
    """
    cure = None
    if tensor.is_meta:
        cure = "on the meta device, which holds no numbers: create it on a real device"
    elif tensor.is_quantized:
        cure = "of quantised numbers: call .dequantize()"
    elif tensor.layout != torch.strided:
        cure = f"of layout {tensor.layout}: call .to_dense()"
    elif tensor.is_complex():
        cure = f"of complex numbers ({tensor.dtype}): give real and imaginary parts, torch.view_as_real(x)"
    if cure:
        raise TypeError(f"expected {what} as a dense tensor of real numbers, got one {cure}")


def _read_tensor(tensor: Tensor, what: str) -> Tensor:
    require_dense(tensor, what)
    if is_transformed(tensor):
        raise TypeError(
            f"expected {what} as a plain tensor, got one inside torch.vmap or torch.func: operators take "
            "a batch (N, P) of parents as it is"
        )
    tensor = tensor.detach()
    # An inference tensor cannot take part in a gradient.
    return tensor.clone() if tensor.is_inference() else tensor.resolve_neg()


def _read_numpy(values: Any, what: str) -> Tensor:
    kind = type(values).__name__
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"expected {what} as an array, with as many for every parent, got a {kind} of unequal parts "
            f"({error}): give a list of arrays where they differ"
        ) from error
    except TypeError as error:
        if "Tracer" in kind:
            raise TypeError(
                f"expected {what} as an array of numbers, got one that JAX traces ({kind}): call operators "
                "outside of jax.jit and jax.vmap, or through jax.pure_callback"
            ) from error
        raise TypeError(f"expected {what} as an array that numpy can read, got {kind}: {error}") from error
    if array.dtype == object:
        raise TypeError(
            f"expected {what} of a numeric dtype, got object ({kind}): give equal arrays as np.stack(x), "
            "unequal ones as list(x), a sparse matrix as x.toarray()"
        )
    if array.dtype.kind == "c":
        raise TypeError(
            f"expected {what} of real numbers, got {array.dtype} ({kind}): give real and imaginary parts, "
            "np.stack([x.real, x.imag], -1)"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected {what} of a numeric dtype, got {array.dtype} ({kind})")
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise TypeError(f"expected {what} without masked values, got a masked array: call .filled(value)")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    # Copied where torch cannot share the memory, or warns because it could write to it.
    strange = any(stride < 0 for stride in array.strides) or not array.dtype.isnative
    if strange or not array.flags.writeable:
        array = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(array)
