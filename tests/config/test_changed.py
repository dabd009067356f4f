"""Sections are changed by one method, which validates."""

import re
from pathlib import Path
from typing import Any

import pytest

from ptychopinn.config import (
    DataConfig,
    FittedStatistics,
    LossConfig,
    ModelConfig,
    Recipe,
    Section,
    SimulationConfig,
    TrainingConfig,
)
from ptychopinn.errors import ConfigError
from ptychopinn.studies.grid_lines.config import GridLinesConfig

ROOT = Path(__file__).resolve().parents[2]
FITTED = FittedStatistics(
    pattern_size=64, input_mean=0, input_deviation=1, mean_count=2, intensity_scale=3, n_patterns=4
)
SECTIONS = [
    Recipe.from_name("unrolled").changed(fitted=FITTED),
    SimulationConfig(object_size_px=(70, 90), probe_zernike=(0.1, 0.2), probe_kind="zernike"),
    GridLinesConfig(),
    DataConfig(bounds_y=(0.2, 0.4)),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: type(section).__name__)
def test_nothing_is_lost_by_a_change_of_nothing(section: Section) -> None:
    same = section.changed()
    assert same == section
    assert same is not section
    assert type(same) is type(section)


def test_a_change_leaves_the_original_and_the_other_sections_as_they_are() -> None:
    recipe = Recipe.from_name("few_photons")
    other = recipe.changed(training=TrainingConfig(epochs=3))
    assert other.training.epochs == 3
    assert other.reconstruction is recipe.reconstruction
    assert recipe.training.epochs is None


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        (Recipe(), {"training": "nonsense"}, "training = 'nonsense'"),
        (Recipe(), {"training": DataConfig()}, "training = {...}"),
        (Recipe(), {"training": {"epochs": 0}}, "training.epochs = 0"),
        (Recipe(), {"model": {"loss": {"poison_weight": 1}}}, "unknown key model.loss.poison_weight"),
        (Recipe(), {"trainin": TrainingConfig()}, "did you mean training?"),
        (DataConfig(), {"group_size": 0}, "group_size = 0"),
        (DataConfig(), {"neighbors": 3}, "a group of 16 needs 15 of them"),
        (FITTED, {"intensity_scale": float("nan")}, "intensity_scale = nan"),
        (ModelConfig(), {"loss": LossConfig(poisson_weight=0)}, "every data term of the loss has weight 0"),
    ],
)
def test_a_bad_change_is_refused_with_its_dotted_path(section: Section, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        section.changed(**values)
    assert str(refused.value).startswith(f"{type(section).__name__}: ")


def test_nothing_copies_a_section_without_validation() -> None:
    unchecked = re.compile(r"\b(model_copy|model_construct)\s*\(|\.copy\(\s*update\s*=")
    files = [path for kind in ("py", "md") for path in ROOT.rglob(f"*.{kind}") if not _is_made(path)]
    found = [f"{path.relative_to(ROOT)}" for path in files if unchecked.search(path.read_text(encoding="utf-8"))]

    assert len(files) > 300
    assert found == [], "use the method `changed`, which validates"


def _is_made(path: Path) -> bool:
    """Whether a file lies in a folder that git ignores, such as an environment."""
    folders = path.relative_to(ROOT).parts[:-1]
    return any(name.startswith(".") or name in ("outputs", "dist", "build") for name in folders)
