"""The scale between model and counts."""

import pytest
import torch

from ptychopinn.physics.calibration import CALIBRATED_RATIO, photon_ratio
from ptychopinn.physics.scaling import intensity_scale, rms_scale


def probe(photons: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    wave = torch.randn(2, 6, 5, dtype=torch.complex128, generator=generator)
    return wave * (photons / wave.abs().square().sum()).sqrt()


def test_photon_ratio() -> None:
    assert photon_ratio(500.0, probe(1000.0)) == pytest.approx(0.5)


@pytest.mark.parametrize("counts", [200.1, 700.0, 1000.0, 1999.0])
def test_auto_trusts_a_calibrated_probe(counts: float) -> None:
    factor, reason = intensity_scale("auto", counts, probe(1000.0))
    assert factor == 1
    assert "probe in sqrt(photons)" in reason


@pytest.mark.parametrize("counts", [1e-3, 199.0, 2001.0, 1e9])
def test_auto_scales_a_probe_that_does_not_explain_the_counts(counts: float) -> None:
    factor, reason = intensity_scale("auto", counts, probe(1000.0))
    assert factor == pytest.approx((counts / 1000) ** 0.5)
    assert (factor * probe(1000.0)).abs().square().sum().item() == pytest.approx(counts)
    assert "scaled to the mean counts" in reason


def test_the_other_rules_do_not_look() -> None:
    """`probe` trusts a probe that explains a millionth; `data` scales one within bounds."""
    assert intensity_scale("probe", 1e9, probe(1000.0))[0] == 1
    assert CALIBRATED_RATIO[0] < 0.5 < CALIBRATED_RATIO[1]
    assert intensity_scale("data", 500.0, probe(1000.0))[0] == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("counts", [500.0, 1e9])
def test_a_trainable_scale_begins_where_auto_does(counts: float) -> None:
    assert intensity_scale("trainable", counts, probe(1000.0)) == intensity_scale("auto", counts, probe(1000.0))


def test_rms_scale() -> None:
    """One factor for the scan: the mean of the summed squares becomes the target."""
    amplitudes = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(4)) * torch.arange(1.0, 6)[:, None, None]
    scaled = amplitudes * rms_scale(amplitudes, 16.0)
    assert scaled.double().square().sum((-2, -1)).mean().item() == pytest.approx(16.0, rel=1e-6)
    assert rms_scale(amplitudes.half(), 16.0) == pytest.approx(rms_scale(amplitudes, 16.0), rel=1e-3)
