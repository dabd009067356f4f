"""The program in docs/specs/grid_lines_data.md runs, and its figures are true."""

import re
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.studies.grid_lines.scene import draw_lines

DOC = Path(__file__).resolve().parents[3] / "docs" / "specs" / "grid_lines_data.md"


def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = re.search(r"```python\n(.*?)```", DOC.read_text(), re.S)
    assert program is not None
    names: dict[str, object] = {}
    exec(program[1], names)
    assert len(names["scans"]) == 2  # type: ignore[arg-type]
    assert (tmp_path / "outputs" / "datasets" / "N16" / "gs2" / "test.npz").is_file()


@pytest.mark.parametrize(("size", "contrast"), [(96, 0.07), (392, 0.26)])
def test_small_objects_are_flat(size: int, contrast: float) -> None:
    objects = [draw_lines(size, np.random.RandomState(seed)) for seed in range(4)]
    assert np.mean([object_.std() / object_.mean() for object_ in objects]) == pytest.approx(contrast, rel=0.1)
