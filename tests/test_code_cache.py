"""Compiled code on disk: a full disk and damaged files cost time, never the run."""

import sys

import pytest

from own_process import run_anew

# Each "start" and "use_anew" import the kernel again, as a new process does.
PROGRAM = """
import importlib.util, pathlib, resource, sys, warnings

def start(folder):
    spec = importlib.util.spec_from_file_location("kernels", folder / "kernels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert module.add(3, 4) == 7 and module.add(0.5, 0.25) == 0.75
    hits = sum(module.add.stats.cache_hits.values())
    return hits, [str(warning.message) for warning in caught]

def use_anew(*changed):
    for name in (*changed, "kernels"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    module = importlib.import_module("kernels")
    return module.use(1), sum(module.use.stats.cache_hits.values())

folder = pathlib.Path(sys.argv[1])
(folder / "kernels.py").write_text('''
from gym_safemaze.jit import kernel

@kernel
def add(a, b):
    return a + b
''')
"""

DAMAGE = """
import random
assert start(folder) == (0, [])
assert start(folder) == (2, [])
whole = {file: file.read_bytes() for file in sorted(folder.glob("__pycache__/*.nb?"))}
assert [file.suffix for file in whole] == [".nbc", ".nbc", ".nbi"]
random.seed(0)
for damaged, content in whole.items():
    cuts = [0, 1, len(content) // 2, len(content) - 1]
    for number, at in enumerate(cuts + random.sample(range(len(content)), 4)):
        flipped = bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]
        for file, intact in whole.items():
            file.write_bytes(intact)
        damaged.write_bytes(content[:at] + (b"" if number < len(cuts) else flipped))
        hits, messages = start(folder)
        assert all("kernels.add-" in message and "cannot be used" in message for message in messages)
        if damaged.suffix == ".nbc":  # one of two forms is compiled again, and the other is not
            assert hits == 1 and len(messages) == 1, (damaged, number, hits, messages)
        assert start(folder) == (2, []), "written anew"
"""

FULL_DISK = """
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for _ in range(2):
    hits, messages = start(folder)
    assert hits == 0 and len(messages) == 1, messages
    assert "kernels.add-" in messages[0] and "File too large" in messages[0], messages
"""

BOTH = """
assert start(folder) == (0, [])
[index] = folder.glob("__pycache__/*.nbi")
index.write_bytes(b"damaged")
resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
hits, messages = start(folder)
assert hits == 0 and "cannot be used" in messages[0], messages
"""


IMPORTED = """
def versions(factor):
    (folder / "helpers.py").write_text(f'''
from gym_safemaze.jit import kernel

@kernel
def scaled(a):
    return {factor} * a
''')
    (folder / "between.py").write_text('''
from gym_safemaze.jit import kernel
from helpers import scaled

@kernel
def twice_scaled(a):
    return scaled(scaled(a))
''')
    (folder / "kernels.py").write_text('''
from between import twice_scaled
from gym_safemaze.jit import kernel

@kernel
def use(a):
    return twice_scaled(a)
''')

def use():
    return use_anew("helpers", "between")

sys.path.insert(0, str(folder))
versions(3)
assert use() == (9, 0)
assert use() == (9, 1)
versions(10)
assert use() == (100, 0), "a kernel imported by an imported one has changed"
assert use() == (100, 1)
"""

INTRINSICS = """
def versions(number):
    (folder / "intrinsics.py").write_text(f'''
from numba import types
from numba.extending import intrinsic

@intrinsic
def constant(typing_context):
    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, {number})
    return types.intp(), generate
''')
    (folder / "between.py").write_text('''
from gym_safemaze.jit import kernel
from intrinsics import constant

@kernel
def added(a):
    return a + constant()
''')
    (folder / "kernels.py").write_text('''
from between import added
from gym_safemaze.jit import kernel

@kernel
def use(a):
    return added(a)
''')

def use():
    return use_anew("intrinsics", "between")

sys.path.insert(0, str(folder))
versions(3)
assert use() == (4, 0)
assert use() == (4, 1)
versions(10)
assert use() == (11, 0), "an intrinsic imported by an imported kernel's file has changed"
assert use() == (11, 1)
"""

CONSTANTS = """
(folder / "kernels.py").write_text('''
import os
from gym_safemaze.jit import kernel
from settings import ARRAY, NUMBER

SOMETHING_ELSE = object(), os.environ

@kernel
def use(a):
    return a * NUMBER + ARRAY[1]
''')

def use(number, array):
    (folder / "settings.py").write_text(f"import numpy as np\\nNUMBER, ARRAY = {number}, np.array({array})")
    return use_anew("settings")

sys.path.insert(0, str(folder))
assert use(3, [0, 4]) == (7, 0)
assert use(3, [0, 4]) == (7, 1)
assert use(5, [0, 4]) == (9, 0), "a number that the file imports has changed"
assert use(5, [0, 6]) == (11, 0), "an array that the file imports has changed"
"""

LIBERTIES = """
(folder / "sums.py").write_text('''
from functools import partial
import numpy as np
from gym_safemaze.jit import kernel

loose = partial(kernel, fastmath={"contract", "nsz", "reassoc"})

@loose
def add_totals(x, found, stride, start, length):
    for c in range(12):
        row = x[c * stride + start :]
        total = np.float32(0)
        for p in range(length):
            total += row[p]
        found[c] += total

@loose
def use(x, found):
    add_totals(x, found, 256, 48, 208)
    add_totals(x, found[12:], 960, 0, 960)
''')
sys.path.insert(0, str(folder))
import numpy as np
import sums
found = np.zeros(24, np.float32)
sums.use(np.random.default_rng(0).standard_normal(12 * 960).astype(np.float32), found)
print(sum(sums.use.stats.cache_hits.values()), found.tobytes().hex())
"""

TWO_WAYS = """
(folder / "ways.py").write_text('''
from gym_safemaze.jit import kernel

@kernel
def square(x):
    x[0] = x[0] * x[0] + x[1]

loose_square = kernel(square.py_func, fastmath={"contract"})
''')
sys.path.insert(0, str(folder))
import numpy as np
import ways
for one in (ways.square, ways.loose_square):
    one(np.ones(2))
    print(sum(one.stats.cache_hits.values()))
"""


def run(program, folder):
    """What a process of its own prints."""
    return run_anew("-B", "-c", PROGRAM + program, str(folder))


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
@pytest.mark.parametrize(
    "case",
    [DAMAGE, FULL_DISK, BOTH, IMPORTED, INTRINSICS, CONSTANTS],
    ids=["damage", "full disk", "both", "imported", "intrinsics", "constants"],
)
def test_compiled_code_that_cannot_be_used_is_compiled_again(case, tmp_path):
    run(case, tmp_path)


def test_code_from_disk_adds_up_in_the_order_of_the_code_that_was_compiled(tmp_path):
    (hits, compiled), (more_hits, loaded) = (run(LIBERTIES, tmp_path).split() for _ in range(2))
    assert (hits, more_hits) == ("0", "1")
    assert compiled == loaded


def test_a_function_with_and_without_liberties_is_kept_twice(tmp_path):
    assert [run(TWO_WAYS, tmp_path).split() for _ in range(2)] == [["0", "0"], ["1", "1"]]
