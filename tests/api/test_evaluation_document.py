"""docs/evaluation.md names every entry of the report, and none that does not exist; its Python runs."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Reconstruction

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
TABLE = TEXT[TEXT.index("## The report") : TEXT.index("## Low frequencies apart")]


def named_keys() -> set[str]:
    keys = {
        key
        for line in TABLE.splitlines()
        for key in re.findall(r"`([a-zX_T0-9]+)`", line)
        if line.startswith("| `") and ("_" in key or line.startswith(f"| `{key}`"))
    }
    expanded: set[str] = set()
    for key, part, threshold in product(keys, ("amplitude", "phase"), ("0.5", "1/7", "half_bit")):
        expanded.add(re.sub(r"_X(?=_|$)", f"_{part}", key).replace("frc_T_", f"frc_{threshold}_"))
    return expanded


def test_every_entry_is_named_and_every_name_is_an_entry() -> None:
    truth = 1 + 0.2 * np.random.default_rng(0).normal(size=(40, 40)) + 0j
    positions = np.array([[8.0, 8], [32, 32]])
    image = Reconstruction(truth, np.ones(truth.shape), (0, 0), positions, np.ones((1, 8, 8)), 5e-9)
    report = ptychopinn.evaluate(image, truth.astype(np.complex64)).report
    assert set(report) - named_keys() - {"contrast"} == set()
    assert named_keys() - set(report) == set()


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    truth = 1 + 0.2 * np.random.default_rng(0).normal(size=(264, 264)) + 0j
    exec(code, {"truth": truth, "images": {"good": 1j * truth, "flat": np.ones_like(truth)}})
    assert {path.name for path in tmp_path.iterdir()} == {"compare_amp_phase.png", "frc.png"}
