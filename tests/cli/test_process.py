"""What the command line sets for its own process."""

import os
import subprocess
import sys

import pytest

WAITS = """
import os, sys
import ptychopinn.cli as cli
cli.app = lambda: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
cli.main()
"""
FAULTS = """
import resource
import numpy as np
from ptychopinn.cli.process import keep_freed_memory
keep_freed_memory()
for number in range(201):
    a, b = np.ones(1 << 17), np.ones(1 << 20)
    del a, b
    if number == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


COLLECTS = """
import gc
usual = gc.get_threshold()
import ptychopinn.cli as cli
cli.app = lambda: print(*gc.get_threshold())
cli.main()
from ptychopinn.cli.process import return_freed_memory
return_freed_memory()
print(gc.isenabled(), gc.get_threshold() == usual)
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(given: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if given:
        environment["OMP_WAIT_POLICY"] = given
    ran = subprocess.run([sys.executable, "-c", WAITS], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [expected, "False"]


def test_freed_memory_stays_with_the_process() -> None:
    ran = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 10_000  # 200 pairs have 460,000 pages


def test_cycles_are_looked_for_seldom_but_as_usual_by_a_server() -> None:
    ran = subprocess.run([sys.executable, "-c", COLLECTS], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["50000", "10", "10", "True", "True"]
