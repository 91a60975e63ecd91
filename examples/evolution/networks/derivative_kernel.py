"""How kernels of derivatives are compiled: products fused with their sums, and sums in any order.

For derivatives only, never for a decision: such results depend on the processor.
"""

from collections.abc import Callable

from gym_safemaze.jit import kernel


def derivative_kernel(function: Callable) -> Callable:
    """Compile a function so (a decorator)."""
    return kernel(function, fastmath={"contract", "nsz", "reassoc"})
