"""Scans of one object or with one probe in one solve: as good as one scan, and better than each alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api.together import COMMON_OBJECT, ReconstructedTogether
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import withhold_photons
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.metrics import compare
from ptychopinn.solver.gauge import SCALE_ERROR, transmission

SETTINGS = ["reconstruction.prior=none"]


def drawn(seed: int, size: int, step: float) -> Scan:
    """A scan with counting noise, and a probe that is wrong by a phase of some rad."""
    words = [f"object_size_px={size}", "probe_size_px=16", f"step_px={step}", "photons_per_pattern=1e5", f"seed={seed}"]
    scan = ptychopinn.simulate(overrides=[f"simulation.{word}" for word in words]).scan
    y, x = np.indices(scan.probe.shape[-2:]) - 8
    return replace(scan, probe=(scan.probe * np.exp(0.02j * (y**2 + x * y))).astype(np.complex64))


def halves(scan: Scan) -> tuple[Scan, Scan]:
    order = np.random.default_rng(0).permutation(len(scan))
    return scan.select(np.sort(order[::2])), scan.select(np.sort(order[1::2]))


def dimmed(scan: Scan, dose: float) -> Scan:
    """A part of the photons, under a probe that still has all."""
    return replace(withhold_photons(scan, 1 - dose, 1).scan, probe=scan.probe)


def quality(image: Reconstruction, scan: Scan, edge: int = 14) -> tuple[float, float]:
    """PSNR of amplitude and phase against the truth, in the middle."""
    side = len(scan.object_guess)
    found, _ = image.in_frame((0, 0), scan.object_guess.shape)
    report = compare(found, scan.object_guess, region=(edge, side - edge, edge, side - edge))
    return report["psnr_amplitude"], report["psnr_phase"]


@pytest.fixture(scope="module")
def whole() -> Scan:
    return drawn(31, 64, 3)


@pytest.fixture(scope="module")
def alone(whole: Scan) -> tuple[float, float]:
    """Quality of the image of all patterns in one scan."""
    return quality(ptychopinn.reconstruct(whole, overrides=SETTINGS).reconstruction, whole)


@pytest.mark.parametrize("common", ["object", "both"])
def test_two_halves_of_a_scan_are_as_good_as_the_whole(whole: Scan, alone: tuple[float, float], common: str) -> None:
    made = ptychopinn.reconstruct_together(halves(whole), common=common, overrides=SETTINGS)

    assert isinstance(made, ReconstructedTogether)
    assert made.common is not None
    for part in made.parts.values():
        np.testing.assert_array_equal(part.reconstruction.object_, made.common.object_)
        assert part.metrics["verdict"]["level"] == "fits"
        assert part.metrics["together"] == {"common": common, "scans": ["scan_1", "scan_2"]}
        for found, expected in zip(quality(part.reconstruction, whole), alone, strict=True):
            assert found > expected - 0.2
    half = ptychopinn.reconstruct(halves(whole)[0], overrides=SETTINGS).reconstruction
    assert quality(half, whole)[1] < alone[1] - 1


@pytest.mark.parametrize("common", ["object", "both"])
def test_each_scan_has_its_own_dose(whole: Scan, common: str) -> None:
    first, second = halves(whole)
    dim = dimmed(second, 0.3)
    made = ptychopinn.reconstruct_together([first, dim], common=common, overrides=SETTINGS)

    photons = [np.square(np.abs(part.reconstruction.probe)).sum() for part in made.parts.values()]
    assert photons[1] / photons[0] == pytest.approx(0.3, rel=0.01)
    assert all(part.metrics["verdict"]["level"] != "does not fit" for part in made.parts.values())


@pytest.mark.parametrize("common", ["object", "both"])
def test_the_common_object_states_the_photons_of_all_scans(whole: Scan, common: str, tmp_path: Path) -> None:
    """Scans of different dose and number of patterns: the mean over the patterns, not the sum over the probes."""
    order = np.random.default_rng(0).permutation(len(whole))
    first, second = whole.select(np.sort(order[:220])), dimmed(whole.select(np.sort(order[220:])), 0.3)
    made = ptychopinn.reconstruct_together([first, second], tmp_path, common=common, refine=12, overrides=SETTINGS)

    parts = [part.reconstruction for part in made.parts.values()]
    doses, counts = [part.beam_photons for part in parts], [len(part.positions_px) for part in parts]
    mean = float(np.average(doses, weights=counts))
    image = Reconstruction.load(tmp_path / f"{COMMON_OBJECT}.npz")
    gauge = image.metadata["gauge"]
    assert image.beam_photons == pytest.approx(mean, rel=1e-5)
    assert gauge["probe_photons"] == pytest.approx(mean, rel=1e-5)
    assert image.intensities is not None
    np.testing.assert_allclose(image.intensities, np.repeat(np.array(doses) / mean, counts), rtol=1e-5)
    found = transmission(replace(image, intensities=None))
    assert gauge["transmission"] == pytest.approx(found, rel=1e-5)
    for part, number in zip(parts, counts, strict=True):
        of_part = part.metadata["gauge"]
        assert of_part["probe_photons"] == pytest.approx(part.beam_photons, rel=1e-5)
        weaker = found["error"] ** 2 - SCALE_ERROR**2
        expected = weaker * mean * len(image.positions_px) / (part.beam_photons * number)
        assert of_part["transmission"]["error"] ** 2 - SCALE_ERROR**2 == pytest.approx(expected, rel=0.1)


def test_intensities_of_scans_of_one_object_with_one_probe_are_fitted(whole: Scan) -> None:
    """The beam varies by 10 % in both scans. The probe of the second one, which has a fifth of the dose, is scaled to
    its counts and that of the first one is not, so that their ratio is no start for the doses."""
    truth = np.random.default_rng(5).normal(1, 0.1, len(whole)).clip(0.6, 1.4)
    counts = np.random.default_rng(6).binomial(np.rint(whole.counts()).astype(int), 0.7 * truth[:, None, None])
    flickering = replace(whole, patterns=counts.astype(np.float32), domain="counts")
    order = np.random.default_rng(0).permutation(len(whole))
    numbers = [np.sort(order[::2]), np.sort(order[1::2])]
    scans = [flickering.select(numbers[0]), dimmed(flickering.select(numbers[1]), 0.2)]
    fitted = [*SETTINGS, "reconstruction.refine.intensities=fitted"]
    made = ptychopinn.reconstruct_together(scans, common="both", overrides=fitted)

    parts = [part.reconstruction for part in made.parts.values()]
    for image, index in zip(parts, numbers, strict=True):
        assert image.intensities is not None
        assert image.intensities.mean() == pytest.approx(1, abs=1e-6)
        assert np.std(np.log(image.intensities / truth[index])) < 0.03
    doses = [truth[numbers[0]].mean(), 0.2 * truth[numbers[1]].mean()]
    assert parts[1].beam_photons / parts[0].beam_photons == pytest.approx(doses[1] / doses[0], rel=0.02)
    assert made.common is not None
    assert made.common.intensities is not None
    each = np.concatenate([part.beam_photons * part.intensities for part in parts])
    np.testing.assert_allclose(made.common.beam_photons * made.common.intensities, each, rtol=1e-5)


def test_withheld_photons_show_whether_scans_belong_together(
    whole: Scan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both halves of a scan gain from each other; a scan of another object at the same positions does harm."""
    first, second = halves(whole)
    belongs = {"a": first, "b": second}
    made = ptychopinn.reconstruct_together(
        belongs, tmp_path, common="object", refine=15, held_out=True, overrides=SETTINGS
    )
    for name, part in made.parts.items():
        entry = json.loads((tmp_path / name / "metrics.json").read_text())["held_out"]
        assert entry == part.metrics["held_out"]
        assert entry["difference_in_standard_errors"] < -3
        assert entry["deviance_per_pixel"]["together"] < entry["deviance_per_pixel"]["alone"]
        assert entry["withheld_photons"] == pytest.approx(0.1 * belongs[name].counts().sum(), rel=0.01)
        assert "explained better by all scans together than alone" in entry["conclusion"]
        assert entry["conclusion"] in (tmp_path / "run.log").read_text()
    caplog.clear()
    other = drawn(33, 64, 3)
    with caplog.at_level("WARNING"):
        made = ptychopinn.reconstruct_together(
            [first, halves(other)[1]], common="object", refine=15, held_out=True, overrides=SETTINGS
        )
    for part in made.parts.values():
        assert part.metrics["held_out"]["difference_in_standard_errors"] > 3
    assert "less well by all scans together than alone" in caplog.text


def test_counts_of_which_no_photons_can_be_withheld_are_refused(whole: Scan, tmp_path: Path) -> None:
    first, second = halves(whole)
    scaled = replace(second, patterns=second.counts() * 0.37, domain="counts")
    with pytest.raises(ConfigError, match=r"scan_2: held_out .* must have counts that are whole numbers"):
        ptychopinn.reconstruct_together([first, scaled], tmp_path / "out", common="object", held_out=True)
    assert not (tmp_path / "out").exists()


def test_a_short_scan_gains_from_the_probe_of_a_long_one(whole: Scan) -> None:
    short = drawn(32, 48, 6)
    assert len(short) < 30
    alone = quality(ptychopinn.reconstruct(short, overrides=SETTINGS).reconstruction, short)
    made = ptychopinn.reconstruct_together({"long": whole, "short": short}, common="probe", overrides=SETTINGS)

    assert made.common is None
    gained = quality(made.parts["short"].reconstruction, short)
    assert gained[0] > alone[0] + 0.5
    assert gained[1] > alone[1] + 1
    probes = [part.reconstruction.probe for part in made.parts.values()]
    np.testing.assert_allclose(probes[0], probes[1], rtol=1e-3)


def test_frames_in_metres_are_joined(whole: Scan) -> None:
    """Each scan is recorded in a frame that begins at its own first position, off by a part of a pixel."""
    pixel, (first, second) = 1e-8, halves(whole)
    shift = np.array([3.25, -2.5])
    moved = replace(second, positions_px=second.positions_px - shift, object_guess=None)
    scans = [
        replace(scan, pixel_size_m=pixel, metadata={"frame_origin_m": origin.tolist()})
        for scan, origin in ((first, np.zeros(2)), (moved, shift * pixel))
    ]
    one_frame = ptychopinn.reconstruct_together(halves(whole), common="object", overrides=SETTINGS)
    made = ptychopinn.reconstruct_together(scans, common="object", overrides=SETTINGS)

    assert made.common is not None
    assert one_frame.common is not None
    np.testing.assert_allclose(made.common.object_, one_frame.common.object_, atol=1e-3)
    images = [part.reconstruction for part in made.parts.values()]
    assert np.subtract(*(image.origin_px for image in images)).tolist() == [3, -2]
    for image, scan in zip(images, scans, strict=True):
        gauge = image.metadata["gauge"]
        np.testing.assert_allclose(image.positions_px - scan.positions_px, [gauge["frame_moved_px"]] * len(scan))
    assert images[0].metadata["gauge"]["frame_moved_px"] == [0.0, 0.0]
    np.testing.assert_allclose(np.abs(images[1].metadata["gauge"]["frame_moved_px"]), [0.25, 0.5])


def test_files_of_each_scan_and_of_the_common_object(whole: Scan, tmp_path: Path) -> None:
    made = ptychopinn.reconstruct_together(
        dict(zip("ab", halves(whole), strict=True)), tmp_path, common="object", refine=3, overrides=SETTINGS
    )

    for name in "ab":
        image = Reconstruction.load(tmp_path / name)
        np.testing.assert_array_equal(image.positions_px, made.parts[name].reconstruction.positions_px)
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        assert metrics["together"]["scans"] == ["a", "b"]
        assert metrics["refine"]["iterations"] == 3
        assert (tmp_path / name / "reconstruction.png").is_file()
        assert (tmp_path / name / "recipe.yaml").is_file()
    common = Reconstruction.load(tmp_path / f"{COMMON_OBJECT}.npz")
    assert len(common.positions_px) == len(whole)
    assert (tmp_path / f"{COMMON_OBJECT}.png").is_file()
    assert "2 scans of one object" in image.metadata["method"]
    assert made.paths["log"] == tmp_path / "run.log"


def test_an_interrupted_solve_goes_on_to_the_same_images(whole: Scan, tmp_path: Path) -> None:
    first, second = halves(whole)
    scans = [first, dimmed(second, 0.5)]
    undisturbed = ptychopinn.reconstruct_together(scans, common="both", refine=6, overrides=SETTINGS)

    def stop(done: int, *_: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct_together(scans, tmp_path, common="both", refine=6, overrides=SETTINGS, on_iteration=stop)
    so_far = json.loads((tmp_path / "scan_2" / "metrics.json").read_text())
    assert so_far["interrupted"] == {"iterations_done": 3, "iterations": 6}
    made = ptychopinn.reconstruct_together(scans, tmp_path, common="both", refine=6, overrides=SETTINGS, resume=True)
    assert "resuming the solver after iteration 3" in (tmp_path / "run.log").read_text()
    for name, part in made.parts.items():
        expected = undisturbed.parts[name].reconstruction
        np.testing.assert_array_equal(part.reconstruction.object_, expected.object_)
        np.testing.assert_array_equal(part.reconstruction.probe, expected.probe)


@pytest.mark.parametrize(
    ("changes", "common", "words"),
    [
        ({"positions_px": lambda scan: scan.positions_px + 500}, "object", "no pattern overlaps"),
        ({"pixel_size_m": lambda _: 1e-8}, "object", "must be known in all scans"),
        ({"metadata": lambda _: {"frame_origin_m": [0.0, 0.0]}}, "object", "for all scans of one object or for none"),
    ],
)
def test_scans_without_a_common_frame_are_refused(whole: Scan, changes: dict, common: str, words: str) -> None:
    first, second = halves(whole)
    other = replace(second, **{name: value(second) for name, value in changes.items()})
    with pytest.raises(ScanError, match=words):
        ptychopinn.reconstruct_together([first, other], common=common)


def test_other_pixels_are_refused(whole: Scan) -> None:
    scans = [replace(scan, pixel_size_m=size) for scan, size in zip(halves(whole), (1e-8, 1.1e-8), strict=True)]
    with pytest.raises(ScanError, match="object pixel is 11 nm and must be that of"):
        ptychopinn.reconstruct_together(scans, common="probe")


@pytest.mark.parametrize(
    ("setting", "common", "words"),
    [
        ("reconstruction.prior=default", "object", "reconstruction.prior"),
        ("reconstruction.resolution=photons", "object", "reconstruction.resolution"),
        ("reconstruction.uncertainty=true", "both", "reconstruction.uncertainty"),
        ("reconstruction.refine.probe_modes=auto", "both", "probe_modes"),
        ("reconstruction.refine.probe_relaxation=2", "object", "probe_relaxation"),
        ("reconstruction.refine.background=pattern", "object", "background"),
        ("reconstruction.refine.positions=true", "probe", "positions"),
    ],
)
def test_settings_of_single_scans_are_refused(
    whole: Scan, tmp_path: Path, setting: str, common: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        ptychopinn.reconstruct_together(halves(whole), tmp_path / "out", common=common, overrides=[setting])
    assert not (tmp_path / "out").exists()


def test_one_scan_is_refused(whole: Scan) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        ptychopinn.reconstruct_together([whole], common="object")
