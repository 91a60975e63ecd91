"""How kernels of derivatives are compiled: products fused with their sums, and sums in any order.

For derivatives only, never for a decision: such results depend on the processor.
"""

from functools import partial

from gym_safemaze.jit import kernel

derivative_kernel = partial(kernel, fastmath={"contract", "nsz", "reassoc"})
