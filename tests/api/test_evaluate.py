"""One or several images against one reference: names, common region, files, and the entry under the earlier name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import ptychopinn
from ptycho.evaluation import eval_reconstruction
from ptychopinn import PtychoPINNError, Reconstruction, Scan
from ptychopinn.api.evaluate import evaluate_several, scanned_region
from ptychopinn.api.references import as_reference, on_canvas_of
from ptychopinn.cli.evaluate import parse_names


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Of an object of 72 px."""
    small = ["simulation.object_size_px=72", "simulation.probe_size_px=16", "simulation.step_px=4"]
    return ptychopinn.simulate(overrides=small).scan


@pytest.fixture(scope="module")
def truth(scan: Scan) -> NDArray[np.complex64]:
    assert scan.object_guess is not None
    return scan.object_guess


def image_of(scan: Scan, object_: NDArray, origin: tuple[int, int] = (0, 0), **changes: object) -> Reconstruction:
    return Reconstruction(
        object_=object_,
        coverage=np.ones(object_.shape),
        origin_px=origin,
        positions_px=changes.pop("positions_px", scan.positions_px),
        probe=scan.probe,
        **changes,
    )


def test_files_of_one_reconstruction(scan: Scan, truth: NDArray, tmp_path: Path) -> None:
    result = ptychopinn.evaluate(image_of(scan, truth), scan, tmp_path)
    assert {name: path.name for name, path in result.paths.items()} == {
        "metrics": "metrics.json",
        "figure": "evaluation.png",
        "picture": "evaluation.png",
        "frc": "frc.png",
    }
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"reference": result.report}
    assert all(path.stat().st_size > 300 for path in result.paths.values())
    assert result.frc.crossing_nyquist(0.5) == result.report["frc_0.5_nyquist"] == 1.0


def test_files_of_several_reconstructions(scan: Scan, truth: NDArray, tmp_path: Path) -> None:
    images = {"good": image_of(scan, 1j * truth), "flat": image_of(scan, np.ones_like(truth))}
    result = evaluate_several(images, scan, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "evaluation.png", "frc.png"}
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"reconstructions": result.reports}
    assert result.reports["good"]["contrast_phase"] == pytest.approx(1, abs=1e-3)
    assert result.reports["flat"]["contrast_phase"] < 0.05
    np.testing.assert_allclose(result.images["good"], result.reference, atol=1e-3)
    assert set(result.frc) == {"good", "flat"}


def test_a_report_of_several_is_that_of_one(scan: Scan, truth: NDArray) -> None:
    noisy = image_of(scan, truth + 0.05 * np.random.default_rng(0).normal(size=truth.shape))
    alone = ptychopinn.evaluate(noisy, scan).report
    assert evaluate_several([noisy], scan).reports == {"reconstruction": alone}


def test_several_are_scored_on_what_all_scans_span(scan: Scan, truth: NDArray) -> None:
    """In the object frame, wherever the canvases begin."""
    right = scan.positions_px[scan.positions_px[:, 1] > 24]
    images = [image_of(scan, truth), image_of(scan, truth[4:, 10:], (4, 10), positions_px=right)]
    result = evaluate_several(images, scan)
    whole, part = scanned_region(images[0]), scanned_region(images[1])
    expected = [whole[0], whole[1], part[2] + 10, min(whole[3], part[3] + 10)]
    assert [report["region"] for report in result.reports.values()] == [expected, expected]
    assert result.reference.shape == (expected[1] - expected[0], expected[3] - expected[2])
    np.testing.assert_allclose(*result.images.values(), atol=1e-4)


def test_scans_without_a_common_part_are_refused(scan: Scan, truth: NDArray) -> None:
    left, right = (scan.positions_px[index] for index in (scan.positions_px[:, 1] < 28, scan.positions_px[:, 1] > 44))
    images = {name: image_of(scan, truth, positions_px=places) for name, places in (("left", left), ("right", right))}
    with pytest.raises(PtychoPINNError, match="left, right: the scans span no common rectangle"):
        evaluate_several(images, scan)


def test_region_and_names_are_told_in_refusals(scan: Scan, truth: NDArray) -> None:
    with pytest.raises(PtychoPINNError, match=r"wide: cannot be compared with .*leaves the frame"):
        evaluate_several({"wide": image_of(scan, truth)}, truth, region=(0, 400, 0, 400))
    with pytest.raises(PtychoPINNError, match="no reconstruction was given"):
        evaluate_several([], scan)
    with pytest.raises(PtychoPINNError, match="its own name"):
        parse_names(["a", "a"], [Path("x"), Path("y")])


def test_pixel_size_comes_from_the_image_the_reference_or_by_hand(scan: Scan, truth: NDArray) -> None:
    nothing, image = image_of(scan, truth), image_of(scan, truth, pixel_size_m=5e-9)
    reference = replace(scan, pixel_size_m=7e-9)
    unknown = replace(scan, pixel_size_m=None)
    assert ptychopinn.evaluate(nothing, unknown).report["pixel_size_m"] is None
    assert ptychopinn.evaluate(nothing, reference).report["pixel_size_m"] == 7e-9
    assert ptychopinn.evaluate(image, reference).report["pixel_size_m"] == 5e-9
    report = ptychopinn.evaluate(image, reference, pixel_size_m=3e-9).report
    assert report["frc_0.5_full_period_nm"] == pytest.approx(6.0)
    assert report["frc_0.5_half_period_nm"] == pytest.approx(3.0)


def test_references_lie_in_the_object_frame(scan: Scan, truth: NDArray, tmp_path: Path) -> None:
    image = image_of(scan, truth[6:60, 3:70], (6, 3))
    saved = image_of(scan, truth).save(tmp_path / "reference.npz")
    for reference in (truth, scan, image_of(scan, truth), saved):
        np.testing.assert_array_equal(on_canvas_of(image, as_reference(reference)), truth[6:60, 3:70])


def test_the_earlier_entry_gives_the_same_report(scan: Scan, truth: NDArray) -> None:
    moved = np.roll(truth, (2, -1), axis=(0, 1)) * np.exp(0.4j)
    report = eval_reconstruction(np.abs(moved), np.angle(moved), truth)
    assert report == ptychopinn.metrics.compare(np.abs(moved) * np.exp(1j * np.angle(moved)), truth)
    np.testing.assert_allclose(report["shift_px"], [-2, 1], atol=0.01)
    noisy = eval_reconstruction(np.abs(truth) + 0.01 * np.eye(len(truth)), np.angle(truth), truth)
    assert noisy["psnr_255_amplitude"] - noisy["psnr_amplitude"] == pytest.approx(48.13, abs=1e-3)
