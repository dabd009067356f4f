"""The iterative solver: where it goes, where it stays, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.losses import Smoothness
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.solver import flat_start, photons_of, refine, solver
from ptychopinn.solver.distortion import DistortionStep
from ptychopinn.solver.positions import PositionStep
from ptychopinn.solver.state import COUPLED_FROM

Scene = Callable[..., Scan]


@pytest.fixture(scope="module")
def dense() -> Scan:
    """Many photons, no noise, an object without symmetry, steps far below the width of the probe."""
    drawn = simulate(SimulationConfig(object_size_px=64, probe_size_px=16, step_px=4, seed=2))
    patterns = record_patterns(drawn.object_guess, drawn.probe, drawn.positions_px, None)
    return replace(drawn, patterns=patterns)


def quality(image: Reconstruction, scan: Scan) -> dict[str, float]:
    """Against the truth, in the middle."""
    return compare(image.object_, scan.object_guess, region=(14, 50, 14, 50))


def flat(scan: Scan) -> Reconstruction:
    return flat_start(scan, torch.from_numpy(scan.probe))


def truth(scan: Scan) -> Reconstruction:
    return replace(flat(scan), object_=scan.object_guess)


def position_step(start_px: torch.Tensor, config: RefineConfig) -> PositionStep:
    return PositionStep(start_px, config, DistortionStep(start_px, config))


def test_a_flat_object_becomes_the_true_one(dense: Scan) -> None:
    made = refine(flat(dense), ScanTensors(dense), RefineConfig(iterations=30, smoothness=0, probe=False))
    report = quality(made.reconstruction, dense)
    assert report["psnr_amplitude"] > 36
    assert report["psnr_phase"] > 48
    assert made.deviance[-1] < 0.02 * made.deviance[0]


def test_the_truth_stays(dense: Scan) -> None:
    """Without the penalty, which counts the gradients of the object itself and smooths the truth too."""
    config = RefineConfig(iterations=5, positions=True, positions_start=0, positions_step_px=0.01, smoothness=0)
    made = refine(truth(dense), ScanTensors(dense), config).reconstruction
    assert quality(made, dense)["psnr_phase"] > 65
    np.testing.assert_allclose(made.probe, dense.probe, atol=0.03 * np.abs(dense.probe).max())
    assert np.abs(made.positions_px - dense.positions_px).max() < 0.06


def test_a_wrong_probe_is_mended(dense: Scan) -> None:
    """Another defocus: worse than the true probe without refinement of the probe, nearly as good with it."""
    size = dense.pattern_size
    frequency = np.fft.fftfreq(size)
    defocus = np.exp(15j * (frequency[:, None] ** 2 + frequency[None] ** 2))
    poor = np.fft.ifft2(np.fft.fft2(dense.probe) * defocus).astype(np.complex64)
    tensors, start = ScanTensors(dense), replace(flat(dense), probe=poor)
    kept, fitted = (
        refine(start, tensors, RefineConfig(iterations=25, smoothness=0, probe=probe)) for probe in (False, True)
    )
    assert fitted.deviance[-1] < 0.25 * kept.deviance[-1]
    assert quality(fitted.reconstruction, dense)["psnr_phase"] > quality(kept.reconstruction, dense)["psnr_phase"] + 6
    np.testing.assert_array_equal(kept.reconstruction.probe, poor)


@pytest.fixture(scope="module")
def misplaced() -> tuple[Scan, Scan]:
    """A scan of 32 px patterns and the same with wrong positions, with larger errors along columns than along rows."""
    drawn = simulate(SimulationConfig(object_size_px=96, probe_size_px=32, step_px=5, seed=2))
    right = replace(drawn, patterns=record_patterns(drawn.object_guess, drawn.probe, drawn.positions_px, None))
    errors = np.random.default_rng(5).normal(size=right.positions_px.shape) * [0.3, 0.6]
    return right, replace(right, positions_px=right.positions_px + errors)


def test_positions_are_found_again(misplaced: tuple[Scan, Scan]) -> None:
    right, wrong = misplaced
    config = RefineConfig(iterations=75, smoothness=0, positions=True, positions_distortion=True)
    made = refine(flat(wrong), ScanTensors(wrong), config).reconstruction
    left, errors = (positions - right.positions_px for positions in (made.positions_px, wrong.positions_px))
    assert np.all(np.std(left, axis=0) < 0.04 * np.std(errors, axis=0))
    assert made.metadata["refine"]["positions_moved_rms_px"] > 0.3
    kept = refine(flat(wrong), ScanTensors(wrong), config.changed(positions=False)).reconstruction
    scores = [compare(image.object_, right.object_guess, region=(32, 64, 32, 64)) for image in (made, kept)]
    assert scores[0]["psnr_phase"] > scores[1]["psnr_phase"] + 6


def test_a_bent_scan_is_straightened(misplaced: tuple[Scan, Scan], monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are smooth from position to position bend the object with them: only the two together find back."""
    right, _ = misplaced
    y, x = (2 * (axis - axis.min()) / np.ptp(axis) - 1 for axis in right.positions_px.T)
    field = np.stack((0.5 * (x**2 - x.mean()) + 0.3 * x, 0.4 * x * y - 0.2 * y), 1)
    bent = replace(right, positions_px=right.positions_px + field - field.mean(0))
    left = []
    for bend, coupled_from in ((True, COUPLED_FROM), (False, COUPLED_FROM), (False, 2.0)):
        monkeypatch.setattr("ptychopinn.solver.state.COUPLED_FROM", coupled_from)
        config = RefineConfig(iterations=40, smoothness=0, positions=True, positions_distortion=bend)
        made = refine(flat(bent), ScanTensors(bent), config).reconstruction
        left.append(float(np.sqrt(np.square(made.positions_px - right.positions_px).mean())))
    wrong = float(np.sqrt(np.square(bent.positions_px - right.positions_px).mean()))
    assert left[0] < 0.15 * wrong
    assert left[1] < 0.25 * wrong
    assert left[0] < 0.25 * left[2]


def test_a_kept_object_is_not_bent(misplaced: tuple[Scan, Scan]) -> None:
    right, wrong = misplaced
    start = replace(flat(wrong), object_=right.object_guess)
    config = RefineConfig(iterations=15, object=False, probe=False, positions=True, positions_distortion=True)
    made = refine(start, ScanTensors(wrong), config).reconstruction
    seen = made.coverage > 0
    np.testing.assert_array_equal(made.object_[seen], right.object_guess[seen])
    assert np.abs(made.positions_px - right.positions_px).max() < 0.05


def test_light_moves_positions_and_the_prior_holds_them() -> None:
    """To the least of a parabola of a curvature that is no multiple of 1, against the prior where there is little."""
    start = torch.zeros(40, 2, dtype=torch.float64)
    goal = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    goal -= goal.mean(0)
    curvature = torch.tensor([[3.0, 1.0], [1.0, 0.5]], dtype=torch.float64)
    for light, kept in ((1e4, 0.0), (1.0, 0.5)):
        step = position_step(start, RefineConfig(positions_prior_px=0.5))
        now = start
        for _ in range(40):
            now = step.corrected(now, light * (now - goal) @ curvature, light * curvature.expand(40, 2, 2))
        expected = torch.linalg.solve(light * curvature + 2 * torch.eye(2), light * curvature @ goal.T).T
        torch.testing.assert_close(now, expected, atol=1e-3, rtol=0)
        assert (now - goal).norm() >= kept * goal.norm()


def test_positions_stay_within_their_limit(scan: Scan) -> None:
    config = RefineConfig(iterations=4, positions=True, positions_start=0, positions_limit_px=0.2)
    made = refine(flat(scan), ScanTensors(scan), config).reconstruction
    moved = np.abs(made.positions_px - scan.positions_px).max()
    assert 0.15 < moved < 0.2 + 1e-6


def test_the_scan_as_a_whole_does_not_drift() -> None:
    draw = torch.Generator().manual_seed(0)
    start = 100 * torch.rand(30, 2, dtype=torch.float64, generator=draw)
    slope = 2 + 0.05 * (start - start.mean(0)) @ torch.tensor([[1.0, 0.5], [-0.2, 1.0]], dtype=torch.float64)
    for bend in (False, True):
        step = position_step(start, RefineConfig(positions_distortion=bend, positions_step_px=20))
        moved = step.corrected(start, slope, torch.eye(2, dtype=torch.float64).expand(30, 2, 2)) - start
        assert moved.mean(0).abs().max() < 1e-9
        assert torch.linalg.lstsq(start - start.mean(0), moved).solution.abs().max() < 1e-9


def test_bad_pixels_say_nothing(dense: Scan) -> None:
    bad = np.zeros(dense.patterns.shape[1:], dtype=bool)
    bad[3:5, 9:12] = True
    spoilt = replace(dense, patterns=np.where(bad, 1e4, dense.patterns).astype(np.float32), bad_pixels=bad)
    config = RefineConfig(iterations=20, smoothness=0)
    made = refine(flat(spoilt), ScanTensors(spoilt), config)
    assert made.deviance[-1] < 0.05 * made.deviance[0]
    unmasked = replace(spoilt, bad_pixels=None)
    blind = refine(flat(unmasked), ScanTensors(unmasked), config)
    assert quality(made.reconstruction, dense)["psnr_phase"] > quality(blind.reconstruction, dense)["psnr_phase"] + 6


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
def test_photons_of_the_truth_are_the_patterns(dense: Scan, subpixel: str) -> None:
    expected = photons_of(truth(dense), ScanTensors(dense), DiffractionModel(subpixel), batch_size=50).numpy()
    error = np.abs(expected - dense.patterns).sum() / dense.patterns.sum()
    assert (error < 1e-4) if subpixel == "probe" else (1e-4 < error < 0.1)


def test_bilinear_patches_and_two_modes(noise_free: Scene) -> None:
    scan = noise_free(modes=2)
    for subpixel in ("probe", "bilinear"):
        config, model = RefineConfig(iterations=15, smoothness=0), DiffractionModel(subpixel)
        made = refine(flat(scan), ScanTensors(scan), config, model=model)
        assert made.deviance[-1] < 0.2 * made.deviance[0]
        assert made.reconstruction.probe.shape == scan.probe.shape


def test_a_seed_fixes_the_result(scan: Scan) -> None:
    tensors = ScanTensors(scan)
    first, again, other = (
        refine(flat(scan), tensors, RefineConfig(iterations=3, seed=seed)).reconstruction.object_ for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_what_is_not_refined_stays(scan: Scan) -> None:
    start = flat(scan)
    made = refine(start, ScanTensors(scan), RefineConfig(iterations=2, object=False)).reconstruction
    np.testing.assert_array_equal(made.object_, np.ones_like(made.object_))
    assert np.abs(made.probe - start.probe).max() > 0
    np.testing.assert_array_equal(made.positions_px, start.positions_px)


def test_the_frame_is_that_of_the_object_guess_or_of_the_windows(scan: Scan) -> None:
    made = refine(flat(scan), ScanTensors(scan), RefineConfig(iterations=1)).reconstruction
    assert made.object_.shape == scan.object_guess.shape
    alone = replace(scan, object_guess=None)
    wide = refine(flat(alone), ScanTensors(alone), RefineConfig(iterations=1)).reconstruction
    y, x = wide.origin_px
    part = wide.in_frame((0, 0), scan.object_guess.shape)[0]
    np.testing.assert_allclose(part, made.object_, atol=1e-5)
    assert (y, x) != (0, 0)


def test_smoothness_holds_the_image_at_its_start(scan: Scan) -> None:
    noisy = replace(scan, patterns=np.random.default_rng(0).poisson(scan.patterns / 100).astype(np.float32))
    start = replace(truth(noisy), probe=scan.probe / 10)
    free, held = (
        refine(start, ScanTensors(noisy), RefineConfig(iterations=20, smoothness=weight)).reconstruction.object_
        for weight in (0, 30)
    )
    inside = np.s_[12:-12, 12:-12]
    error = [np.std(np.diff(object_ - scan.object_guess)[inside]) for object_ in (free, held)]
    assert error[1] < 0.7 * error[0]


@pytest.mark.parametrize("edge", [None, 0.7])
def test_roughness_is_the_derivative(edge: float | None) -> None:
    image = torch.randn(5, 7, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    squares = torch.cat([image.diff(dim=axis).abs().square().flatten() for axis in (0, 1)])
    penalty = squares.sum() if edge is None else (2 * edge**2 * ((1 + squares / edge**2).sqrt() - 1)).sum()
    expected = torch.autograd.grad(penalty, image)[0] / 2
    torch.testing.assert_close(Smoothness(edge).gradient(image.detach()), expected)


def test_edges_stay_sharp_beside_calm_areas() -> None:
    """Few photons on a star: a calmer image than without a penalty, and sharper than one that holds edges too."""
    star = simulate(
        SimulationConfig(
            object_kind="siemens_star",
            object_size_px=80,
            probe_size_px=16,
            probe_diameter_px=8,
            step_px=3,
            photons_per_pattern=2000,
            seed=3,
        )
    )

    def psnr(**settings: float) -> float:
        config = RefineConfig(iterations=40, **settings)
        made = refine(flat_start(star, torch.from_numpy(star.probe)), ScanTensors(star), config).reconstruction
        return float(compare(made.object_, star.object_guess, region=(14, 66, 14, 66))["psnr_amplitude"])

    kept = psnr(smoothness=100, edge_preserving=0.03)
    assert kept > psnr(smoothness=0) + 1
    assert kept > psnr(smoothness=100) + 1


def test_progress_is_told(scan: Scan) -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    made = refine(
        flat(scan),
        ScanTensors(scan),
        RefineConfig(iterations=3),
        on_iteration=lambda done, total, numbers: told.append((done, total, numbers)),
    )
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [numbers["deviance"] for _, _, numbers in told] == made.deviance


def test_steps_that_are_too_long_are_refused_before_the_numbers_overflow(dense: Scan) -> None:
    wild = RefineConfig(iterations=60, object_step=2, probe_step=2, momentum=0.99, decay=0)
    with pytest.raises(PtychoPINNError, match=r"diverged in iteration \d+: the deviance is \d.*or momentum"):
        refine(flat(dense), ScanTensors(dense), wild)


def test_numbers_that_grow_without_bound_are_refused(scan: Scan) -> None:
    start = replace(flat(scan), probe=scan.probe * 1e30)
    with pytest.raises(PtychoPINNError, match=r"diverged in iteration 1: .*lower reconstruction\.refine"):
        refine(start, ScanTensors(scan), RefineConfig(iterations=2))


def test_batches_that_hardly_overlap_go_down_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 steps in an iteration, so that a pixel is seen in one of many; they have to be short. The probe, which every
    batch sees, is held: no iteration has so many steps, see the next test."""
    monkeypatch.setattr(solver, "MOST_STEPS", 1000)
    scan = simulate(SimulationConfig(object_size_px=160, probe_size_px=32, step_px=6, photons_per_pattern=1e5, seed=5))
    made = refine(flat(scan), ScanTensors(scan), RefineConfig(iterations=6, batch_size=4, probe=False))
    assert len(scan) > 400
    assert np.diff(made.deviance).max() < 0
    report = compare(made.reconstruction.object_, scan.object_guess, region=(30, 130, 30, 130))
    print({name: value for name, value in report.items() if "psnr" in name}, made.deviance)
    assert report["psnr_amplitude_scale_kept"] > 30


@pytest.mark.parametrize("count", [1, 7, 63, 64, 229, 481, 767, 769, 5000, 100_001])
def test_an_iteration_has_few_steps_whatever_is_asked_for(count: int) -> None:
    """The step of the probe is not shortened, so that many of them in an iteration would be too fast."""
    for batch_size in (1, 16, 64, 1000):
        for is_early in (True, False):
            size = solver.patterns_in_step(count, batch_size, is_early=is_early)
            assert count // size <= 24
