"""What docs/dev/data.md promises: the simulated scans come out the same again, the measured ones can be converted."""

import bz2
import hashlib
import io
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Recipe, read_scan
from ptychopinn.config import recipe_names

Script = Callable[[str], dict[str, Any]]

PROGRAM = "from ptychopinn.cli import main; main()"
SMALL = ["simulation.object_size_px=56", "simulation.probe_size_px=32", "simulation.step_px=6"]
DIGEST = "3de5709a0955eda144e2d7ea97bf2c240a519044d2519f5ef298a2a10ed241d0"
"""SHA-256 of the counts of the small scan; rounding in a Fourier transform is too small to change one of them."""


@pytest.fixture
def script(root: Path) -> Script:
    """The names of a script, which is not run."""
    return lambda name: runpy.run_path(str(root / "scripts" / name))


def simulated(path: Path, threads: int) -> bytes:
    """The bytes of the small scan, made in a process of its own."""
    words = [word for setting in SMALL for word in ("--set", setting)]
    command = [sys.executable, "-c", PROGRAM, "simulate", "--config", "simulated_1e4", "-o", str(path), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return path.read_bytes()


def test_a_simulated_scan_is_the_same_byte_for_byte_in_another_process(tmp_path: Path) -> None:
    assert simulated(tmp_path / "first.npz", threads=1) == simulated(tmp_path / "second.npz", threads=2)


def test_the_counts_are_those_of_every_other_machine() -> None:
    scan = ptychopinn.simulate(recipe="simulated_1e4", overrides=SMALL).scan
    assert scan.patterns.dtype == np.uint16
    assert hashlib.sha256(scan.patterns.tobytes()).hexdigest() == DIGEST


def test_the_digest_changes_with_any_array_and_not_with_metadata(script: Script, tmp_path: Path) -> None:
    digest = script("data_digests.py")["digest"]
    arrays = {"a": np.arange(3), "b": np.ones(2)}
    changed = [
        arrays,
        dict(reversed(arrays.items())),
        {**arrays, "_metadata": np.array("{}")},
        {**arrays, "b": np.ones(2, dtype=np.float32)},
        {**arrays, "b": np.ones((2, 1))},
        {**arrays, "a": np.arange(3) + 1},
        {"a": arrays["a"], "c": arrays["b"]},
    ]
    for number, content in enumerate(changed):
        np.savez(tmp_path / f"{number}.npz", **content)
    found = [digest(tmp_path / f"{number}.npz") for number in range(len(changed))]
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 5


def test_the_page_and_make_name_the_simulated_scans(root: Path) -> None:
    names = [name for name in recipe_names() if name.startswith("simulated_")]
    page, makefile = ((root / file).read_text(encoding="utf-8") for file in ("docs/dev/data.md", "Makefile"))

    assert re.findall(r"^\| `(simulated_\w+)` \|.*`[0-9a-f]{64}` \|$", page, flags=re.MULTILINE) == names
    assert re.findall(r"simulate --config (\w+) -o outputs/data/(\w+)\.npz", page) == [(name, name) for name in names]
    assert f"SCANS := {' '.join(names)}\n" in makefile
    for name in names:
        config = Recipe.from_name(name).simulation
        assert (config.object_size_px, config.probe_size_px, config.device) == (300, 64, "cpu")
        assert f"{config.photons_per_pattern:.0e}".replace("+0", "") == name.removeprefix("simulated_")


@pytest.mark.slow
def test_the_digests_of_the_page_are_those_of_the_scans(root: Path, script: Script, tmp_path: Path) -> None:
    page = (root / "docs/dev/data.md").read_text(encoding="utf-8")
    for name in ("simulated_1e4", "simulated_1e6"):
        path = ptychopinn.simulate(tmp_path / f"{name}.npz", name).path
        assert f"`{script('data_digests.py')['digest'](path)}`" in page


def source_file(path: Path) -> None:
    """A file of the layout of the measured star: six patterns, zero frequency at the corner."""
    rng = np.random.default_rng(3)
    probe = np.zeros((1, 1, 1, 1, 128, 128), dtype=np.complex64)
    probe[..., 48:80, 48:80] = 0.1
    data = rng.poisson(2, size=(1, 6, 128, 128)).astype(np.float32)
    data[..., 0, 0] = 1000
    buffer = io.BytesIO()
    np.savez(buffer, data=data, scan=rng.uniform(-168, 168, size=(1, 6, 2)).astype(np.float32), probe=probe)
    path.write_bytes(bz2.compress(buffer.getvalue()))


def test_the_measured_star_is_converted(script: Script, tmp_path: Path) -> None:
    source_file(tmp_path / "source.npz.bz2")
    script("siemens_star.py")["main"](tmp_path / "source.npz.bz2", tmp_path / "scans")
    whole, half = (read_scan(tmp_path / "scans" / name) for name in ("siemens128.npz", "siemens64.npz"))

    assert (whole.domain, half.domain) == ("counts", "counts")
    assert (whole.patterns[:, 64, 64] == 1000).all()
    assert (half.patterns == whole.patterns[:, 32:96, 32:96]).all()
    assert whole.positions_px.min(axis=0) == pytest.approx([72, 72])
    np.testing.assert_allclose(half.positions_px, whole.positions_px / 2)
    for scan in (whole, half):
        assert np.sum(np.abs(scan.probe) ** 2) == pytest.approx(scan.patterns.sum(axis=(1, 2)).mean(), rel=1e-5)


@pytest.mark.shared_data
def test_the_converted_star_is_the_one_that_was_measured_with(script: Script, shared_dir: Path, tmp_path: Path) -> None:
    recorded = np.load(shared_dir / "data" / "siemens128_counts_corner.npz")
    known = {name: np.load(shared_dir / "data" / f"{name}.npz") for name in ("siemens128", "siemens64")}
    buffer = io.BytesIO()
    probe = 0.3 * known["siemens128"]["probeInitial"][None, None, None, None]
    np.savez(buffer, data=recorded["diff3d"][None], scan=recorded["scan_rowcol"][None], probe=probe)
    (tmp_path / "source.npz.bz2").write_bytes(bz2.compress(buffer.getvalue(), 1))
    script("siemens_star.py")["main"](tmp_path / "source.npz.bz2", tmp_path)
    for name, expected in known.items():
        made = np.load(tmp_path / f"{name}.npz")
        np.testing.assert_allclose(np.sqrt(made["diff3d"]), expected["diffraction"], rtol=1e-6)
        for key in ("xcoords", "ycoords"):
            np.testing.assert_allclose(made[key], expected[key], atol=1e-9)
        np.testing.assert_allclose(made["probeGuess"], expected["probeInitial"], atol=1e-4)
