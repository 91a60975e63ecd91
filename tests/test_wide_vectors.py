"""What the example programs let numba compile for, in processes of their own."""

import pytest
from numba.core.codegen import get_host_cpu_features

from own_process import run_anew

HOST = get_host_cpu_features()
PROGRAM = """
import evolution
from numba.core.registry import cpu_target

print(*cpu_target.target_context.codegen().magic_tuple()[1:])
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, f"{HOST},-prefer-256-bit" if "+avx512f" in HOST.split(",") else HOST),
        ({"NUMBA_CPU_FEATURES": HOST}, HOST),
        ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"}, "+sse2"),
    ],
    ids=["nothing said", "features", "name"],
)
def test_vectors_are_wide_unless_something_else_was_said(given, expected):
    assert run_anew("-c", PROGRAM, **given).split()[-1] == expected
