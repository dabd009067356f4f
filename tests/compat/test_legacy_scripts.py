"""Whole scripts under the legacy names only, on a measured scan, from the file to the scores."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/legacy"
SAYS = {
    "earlier_ptycho.py": ("container (", "PSNR of the phase", "backend pytorch", "numbers"),
    "earlier_ptycho_torch.py": ("container (", "by hand", "image (238, 237) complex64"),
}
SMALL = ["--nepochs", "1", "--n_filters_scale", "1", "--n_images", "30"]


def test_every_script_is_known_and_imports_legacy_names_only() -> None:
    assert sorted(SAYS) == sorted(path.name for path in FOLDER.glob("*.py"))
    for name in SAYS:
        tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {module for module in modules if module and module.split(".")[0] == "ptychopinn"}


@pytest.mark.shared_data
@pytest.mark.parametrize("gridsize", [1, 2])
@pytest.mark.parametrize("script", ["earlier_ptycho.py", "earlier_ptycho_torch.py"])
def test_a_script_of_the_earlier_system_runs_from_end_to_end(
    script: str, gridsize: int, shared_dir: Path, tmp_path: Path
) -> None:
    scan = shared_dir / "data" / "siemens64.npz"
    words = [str(FOLDER / script), str(scan), "--gridsize", str(gridsize), "--output", str(tmp_path / "out"), *SMALL]
    environment = {name: value for name, value in os.environ.items() if name != "PTYCHOPINN_BACKEND"}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for word in SAYS[script]:
        assert word in done.stdout, done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
