"""Prediction shared by ranks: each predicts its groups, the canvases are added up, and all have the whole image."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ptychopinn.api.fit import judge_fit
from ptychopinn.config import ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.models import PatchModel
from ptychopinn.ranks import Ranks
from ptychopinn.reconstruction.predict import expected_counts, predict_and_stitch

InRanks = Callable[..., list[Any]]
MakeModel = Callable[..., PatchModel]


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("weight", ["probe", "central"])
@pytest.mark.parametrize(("architecture", "grouped"), [("cnn", True), ("cnn", False), ("unrolled", False)])
def test_two_ranks_give_the_image_of_one_process(
    in_ranks: InRanks,
    scan: Scan,
    make_model: MakeModel,
    make_unrolled: MakeModel,
    weight: str,
    architecture: str,
    grouped: bool,
) -> None:
    """Also where groups hold patterns of both ranks, and where a solver goes over the whole scan first."""
    number = len(scan)
    groups = np.arange(number)[:, None]
    if grouped:
        groups = np.random.default_rng(0).permuted(np.tile(np.arange(number), (4, 1)), axis=1).T
    config = ReconstructionConfig(weight=weight, batch_size=7, physics_steps=None)
    model = make_unrolled(scan) if architecture == "unrolled" else make_model(scan)
    expected, _ = predict_and_stitch(model, ScanTensors(scan), groups, config)
    seen: list[list[int]] = [[], []]

    def work(ranks: Ranks) -> Any:
        tensors = ScanTensors(scan)
        return predict_and_stitch(
            model, tensors, groups, config, lambda done, of: seen[ranks.index].append(of), ranks=ranks
        )

    for image, timing in in_ranks(work):
        _close(image.object_, expected.object_)
        _close(image.coverage, expected.coverage)
        assert np.array_equal(image.positions_px, expected.positions_px)
        assert timing.predict_s > 0
        assert timing.stitch_s > 0
        assert timing.patterns == number
    assert [own[-1] for own in seen] == [number // 2, number - number // 2]


def test_ranks_judge_all_patterns_together(in_ranks: InRanks, scan: Scan, make_model: MakeModel) -> None:
    """Scores, verdict and the deviance of each pattern are those of one process."""
    bad = np.zeros(scan.patterns.shape, bool)
    bad[3, 2:5], bad[-1, 0] = True, True
    scan = replace(scan, bad_pixels=bad)
    model, alone = make_model(scan), np.arange(len(scan))[:, None]
    image, _ = predict_and_stitch(model, ScanTensors(scan), alone, ReconstructionConfig())

    def work(ranks: Ranks) -> Any:
        tensors = ScanTensors(scan)
        return judge_fit(expected_counts(model, tensors, image, 5, ranks), tensors, "network", ranks)

    expected = work(Ranks())
    for fit in in_ranks(work, 3):
        assert fit.scores == pytest.approx(expected.scores, rel=1e-6)
        assert fit.verdict.level == expected.verdict.level
        np.testing.assert_allclose(fit.ratio, expected.ratio, rtol=1e-6)
