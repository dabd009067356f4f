"""Kinds of samples that the training of the prior never drew lose nothing significant by it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.prior import load_prior, with_prior
from ptychopinn.simulation.pictures import PICTURES
from ptychopinn.solver import refine

KINDS = ("letters", "biology", "crystal", "speckle", "photograph")
LOSS_DB = 0.3
"""A loss that counts."""


@pytest.fixture(scope="module")
def unseen_objects() -> Iterator[ModuleType]:
    """`benchmarks/unseen_objects.py`."""
    folder = str(Path(__file__).resolve().parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    import unseen_objects

    yield unseen_objects
    sys.path.remove(folder)


def test_training_draws_none_of_these_kinds(unseen_objects: ModuleType) -> None:
    assert set(unseen_objects.KINDS) == set(KINDS)
    assert set(KINDS).isdisjoint(PICTURES)
    assert "text" not in PICTURES


def check(unseen_objects: ModuleType, kind: str, seed: int, photons: float, *, related: bool) -> None:
    """Solve a scan, apply the prior of the package, and compare scores and withheld photons."""
    one = unseen_objects.unseen(seed, photons, kind=kind, related=related)
    tensors, config = ScanTensors(one.drawn.scan), RefineConfig(iterations=30)
    image = refine(one.drawn.start(), tensors, config).reconstruction
    result, effect = with_prior(image, tensors, load_prior("default"), config=config)
    before, after = one.drawn.scores(image), one.drawn.scores(result)
    for name in ("psnr_amplitude_scale_kept", "psnr_phase"):
        assert after[name] > before[name] - LOSS_DB, name
    assert after["object_scale"] == pytest.approx(before["object_scale"], abs=0.01)
    assert effect.withheld is not None
    assert effect.withheld.errors < 2 or effect.rms_sigma == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_training_never_saw_loses_nothing_significant(unseen_objects: ModuleType, kind: str) -> None:
    check(unseen_objects, kind, 1200 + KINDS.index(kind), 1e4, related=False)


@pytest.mark.slow
@pytest.mark.parametrize("photons", [2e3, 5e4])
@pytest.mark.parametrize("related", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_nor_does_it_at_other_doses(unseen_objects: ModuleType, kind: str, related: bool, photons: float) -> None:
    check(unseen_objects, kind, 1300 + KINDS.index(kind), photons, related=related)
