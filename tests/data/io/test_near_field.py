"""Near-field patterns are told from far-field ones, read, and refused by every model."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import Recipe, info
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.geometry import Geometry
from ptychopinn.errors import ScanError
from ptychopinn.training import prepare

DETECTOR = "entry_1/instrument_1/detector_1"
MAGNIFICATION = 80.0


def shadow_parts(cxi_parts: dict, far_field_disc: bool = False) -> dict:
    """A CXI file whose patterns are a magnified shadow of a random sample; without a probe."""
    rng = np.random.default_rng(5)
    sample = rng.uniform(0.2, 1, (200, 200))
    y, x = np.indices((32, 32)) - 16
    lit = np.exp(-(x**2 + y**2) / 100)
    starts = rng.integers(20, 60, (60, 2))
    images = [lit * (1 if far_field_disc else sample[r : r + 32, c : c + 32]) for r, c in starts]
    moved = np.zeros((60, 3))
    moved[:, 1], moved[:, 0] = (starts * 75e-6 / MAGNIFICATION).T
    parts = cxi_parts | {
        f"{DETECTOR}/data": rng.poisson(900 * np.stack(images)).astype(np.int32),
        "entry_1/sample_1/geometry_1/translation": moved,
        "entry_1/instrument_1/source_1/illumination": None,
    }
    return parts


def test_patterns_that_move_with_the_sample_and_light_more_than_the_window(scan_of, cxi_of, write_hdf5) -> None:
    scan = read_scan(write_hdf5(shadow_parts(cxi_of(scan_of()))))
    assert scan.geometry.propagation == "near_field"
    assert "the patterns move with the sample" in scan.geometry.propagation_reason
    assert "times the far-field window" in scan.geometry.propagation_reason
    assert scan.pixel_size_m == pytest.approx(75e-6 / MAGNIFICATION, rel=0.02)
    assert np.ptp(scan.positions_px, axis=0) == pytest.approx([39, 39], rel=0.1)


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf, 0.05, 1e300])
def test_lost_encoder_values_do_not_decide(scan_of, cxi_of, write_hdf5, lost: float) -> None:
    """One value outweighed all others: another magnification, or near field for a far-field scan."""
    place = "entry_1/sample_1/geometry_1/translation"
    for parts, expected in ((shadow_parts(cxi_of(scan_of())), "near_field"), (cxi_of(scan_of()), "unknown")):
        path = write_hdf5(parts)
        whole = read_scan(path)
        moved = parts[place].copy()
        moved[7, :2] = lost
        found = read_scan(write_hdf5(parts | {place: moved}), drop_frames=("unpaired", "outlying"))
        assert (found.geometry.propagation == "near_field") is (expected == "near_field")
        assert found.pixel_size_m == pytest.approx(whole.pixel_size_m, rel=0.02)
        assert len(found) == len(whole) - 1


@pytest.mark.parametrize("largest", [32, 31, 16])
def test_large_patterns_are_binned_with_the_same_outcome(
    scan_of, cxi_of, write_hdf5, monkeypatch, largest: int
) -> None:
    monkeypatch.setattr("ptychopinn.data.io.shadow.LARGEST_IMAGE_PX", largest)
    parts = shadow_parts(cxi_of(scan_of())) | {f"{DETECTOR}/mask": np.eye(32, k=9, dtype=np.uint32)}
    scan = read_scan(write_hdf5(parts))
    assert scan.geometry.propagation == "near_field"
    assert scan.pixel_size_m == pytest.approx(75e-6 / MAGNIFICATION, rel=0.05)


def test_without_a_probe_the_mean_pattern_stands_in(scan_of, cxi_of, write_hdf5) -> None:
    scan = read_scan(write_hdf5(shadow_parts(cxi_of(scan_of()))))
    np.testing.assert_allclose(np.abs(scan.probe[0]) ** 2, scan.patterns.mean(axis=0), rtol=1e-5)


def test_a_disc_that_does_not_move_is_far_field(scan_of, cxi_of, write_hdf5) -> None:
    scan = read_scan(write_hdf5(shadow_parts(cxi_of(scan_of()), far_field_disc=True)))
    assert not scan.geometry.is_near_field
    assert "There is no probe" in scan.notes[0]  # in the near field the mean pattern stands in


def test_a_shadow_within_the_window_is_far_field(scan_of, cxi_of, write_hdf5) -> None:
    """A defocused beam casts a shadow in the far field too; what counts is whether the detector samples it."""
    parts = shadow_parts(cxi_of(scan_of())) | {f"{DETECTOR}/distance": 40.0}
    parts["entry_1/instrument_1/source_1/energy"] *= 40.0 / 1750.0
    scan = read_scan(write_hdf5(parts))
    assert not scan.geometry.is_near_field
    assert "There is no probe" in scan.notes[0]


def test_an_explicit_word_wins(scan_of, cxi_of, write_hdf5) -> None:
    parts = shadow_parts(cxi_of(scan_of()))
    parts["entry_1/instrument_1/source_1/illumination"] = scan_of(32).probe[0]
    scan = read_scan(write_hdf5(parts), propagation="far_field")
    assert scan.geometry.propagation == "far_field"
    assert scan.geometry.propagation_reason == "given explicitly"
    assert scan.pixel_size_m == pytest.approx(scan_of(32).pixel_size_m)
    check_one_image(scan)
    parts[f"{DETECTOR}/data"] = parts[f"{DETECTOR}/data"][::-1]
    other = read_scan(write_hdf5(parts), propagation="near_field")
    with pytest.raises(ScanError, match="near-field patterns"):
        check_one_image(other)


@pytest.mark.parametrize("extension", [".npz", ".cxi", ".h5"])
@pytest.mark.parametrize("given", ["auto", "far_field"])
def test_the_finding_travels(scan_of, cxi_of, write_hdf5, tmp_path, extension: str, given) -> None:
    parts = shadow_parts(cxi_of(scan_of()))
    parts["entry_1/instrument_1/source_1/illumination"] = scan_of(32).probe[0]
    scan = read_scan(write_hdf5(parts), propagation=given)
    found = read_scan(write_scan(scan, tmp_path / f"again{extension}"))
    assert found.geometry == scan.geometry
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)


def test_an_npz_takes_the_word_too(scan_of, tmp_path) -> None:
    path = write_scan(scan_of(geometry=Geometry(propagation="near_field"), metadata={}), tmp_path / "scan.npz")
    assert read_scan(path).geometry == Geometry(propagation="near_field")
    assert read_scan(path, propagation="far_field").geometry.propagation == "far_field"


def near(scan: Scan) -> Scan:
    return replace(scan, geometry=Geometry(propagation="near_field", propagation_reason="a test"))


def test_models_refuse_it_and_say_why_and_the_way_out(scan_of) -> None:
    sentence = (
        r"near-field patterns, to which a far-field model must not be fitted \(a test\); .*--propagation far_field"
    )
    with pytest.raises(ScanError, match=sentence):
        check_one_image(near(scan_of()))
    with pytest.raises(ScanError, match=sentence):
        prepare(near(scan_of()), Recipe())


def test_a_word_that_does_not_exist(scan_of, tmp_path) -> None:
    path = write_scan(scan_of(metadata={"propagation": "middle"}), tmp_path / "scan.cxi")
    with pytest.raises(ScanError, match="propagation = 'middle'; must be 'far_field' or 'near_field'"):
        read_scan(path)


def fine_shadow_parts(cxi_parts: dict, magnification: float) -> dict:
    """The same with movements of fractions of a pixel, a beam with structure, and errors of the recorded positions."""
    rng = np.random.default_rng(8)
    y, x = np.indices((64, 64))
    waves = rng.uniform(-0.6, 0.6, (2, 60)), rng.uniform(0, 2 * np.pi, 60)
    beam = np.exp(-((y - 30) ** 2 + (x - 35) ** 2) / 400) * (1.2 + np.cos(0.7 * x) * np.sin(0.5 * y))
    shifts = rng.uniform(-15, 15, (80, 2))

    def sample(shift: np.ndarray) -> np.ndarray:
        phases = waves[0][0] * (y - shift[0])[..., None] + waves[0][1] * (x - shift[1])[..., None] + waves[1]
        return 1.5 + np.cos(phases).mean(axis=-1) * 3

    moved = np.zeros((80, 3))
    recorded = -shifts + rng.normal(0, 0.3, shifts.shape)
    moved[:, 1], moved[:, 0] = (recorded * 75e-6 / magnification).T
    images = np.stack([beam * sample(shift) for shift in shifts])
    return cxi_parts | {
        f"{DETECTOR}/data": rng.poisson(2000 * images).astype(np.int32),
        "entry_1/sample_1/geometry_1/translation": moved,
        "entry_1/instrument_1/source_1/illumination": None,
    }


@pytest.mark.parametrize("magnification", [40.0, 93.7])
def test_the_magnification_is_found_to_two_hundredths(scan_of, cxi_of, write_hdf5, magnification: float) -> None:
    """Whole pixels and nearest neighbours alone miss it by a fifth."""
    scan = read_scan(write_hdf5(fine_shadow_parts(cxi_of(scan_of()), magnification)))
    assert scan.geometry.is_near_field
    assert scan.geometry.magnification == pytest.approx(magnification, rel=0.02)
    assert scan.pixel_size_m == pytest.approx(75e-6 / magnification, rel=0.02)


def test_a_given_distance_of_the_source_decides(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    path = write_hdf5(shadow_parts(cxi_of(scan_of())))
    estimated = read_scan(path)
    scan = read_scan(path, source_distance_m=0.05)
    assert scan.geometry.magnification == pytest.approx(36)
    assert scan.pixel_size_m == pytest.approx(75e-6 / 36)
    for one, other in ((scan, estimated), (read_scan(write_scan(scan, tmp_path / "again.cxi")), scan)):
        spans = [np.ptp(each.positions_px, axis=0) * each.pixel_size_m for each in (one, other)]
        np.testing.assert_allclose(*spans)


def test_a_distance_of_the_source_needs_the_detector(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(shadow_parts(cxi_of(scan_of())) | {f"{DETECTOR}/distance": None})
    with pytest.raises(ScanError, match=r"distance or pixel of the detector is not known \(looked for source_1/energy"):
        read_scan(path, source_distance_m=0.05, propagation="near_field")


def test_positions_in_pixels_need_no_distance_of_the_source(scan_of, tmp_path, caplog) -> None:
    scan = scan_of()
    found = read_scan(write_scan(scan, tmp_path / "scan.npz"), source_distance_m=0.05)
    assert found.geometry == scan.geometry
    assert "the distance of the source is not used" in caplog.text


@pytest.mark.shared_data
def test_the_shared_near_field_file_is_read_and_refused(shared_dir) -> None:
    """Its magnification is 308 by the distances that its authors give."""
    scan = read_scan(shared_dir / "data" / "p25_nearfield.cxi")
    assert (scan.patterns.shape, scan.patterns.dtype) == ((200, 100, 100), np.int32)
    assert scan.bad_pixels.sum() == 5
    assert scan.pixel_size_m == pytest.approx(55e-6 / 308, rel=0.02)
    assert scan.geometry.effective_pixel_m[0] == pytest.approx(scan.pixel_size_m)
    assert scan.geometry.effective_distance_m == pytest.approx(3.638e-3, rel=0.02)
    assert np.ptp(scan.positions_px, axis=0) * scan.pixel_size_m == pytest.approx([19.047e-6, 20.158e-6], rel=1e-3)
    assert info(scan).overlap > 0.5
    with pytest.raises(ScanError, match=r"must not be fitted .*times the far-field window"):
        check_one_image(scan)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["siemens64.npz", "siemens128.npz", "synth_dev_1e4.npz", "synth_dev_1e6.npz"])
def test_shared_far_field_scans_are_taken_for_that(shared_dir, tmp_path, name: str) -> None:
    scan = read_scan(shared_dir / "data" / name)
    scan = replace(scan.select(slice(0, 200)), metadata={}, geometry=Geometry(), pixel_size_m=None)
    assert read_scan(write_scan(scan, tmp_path / "scan.cxi")).geometry.propagation is None
