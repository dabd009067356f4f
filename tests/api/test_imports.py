"""An image of the solver is made without the packages of training."""

import json
import subprocess
import sys
from pathlib import Path

import ptychopinn

SOLVE = """
import json, sys
import ptychopinn
ptychopinn.reconstruct(sys.argv[1], None, sys.argv[2], refine=1)
print(json.dumps([name for name in ("lightning", "torchmetrics", "pandas", "scipy.stats") if name in sys.modules]))
"""


def test_the_solver_alone_imports_no_lightning(tmp_path: Path) -> None:
    small = ["simulation.object_size_px=40", "simulation.probe_size_px=16"]
    scan = ptychopinn.simulate(tmp_path / "scan.npz", overrides=small)
    command = [sys.executable, "-c", SOLVE, str(scan.path), str(tmp_path / "image")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert (tmp_path / "image" / "reconstruction.png").exists()
