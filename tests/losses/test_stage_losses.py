"""The losses of the first stage of a training in stages."""

import torch

from ptychopinn.losses import shape_of_amplitudes, weighted_mae


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_shape_of_amplitudes_does_not_depend_on_the_dose() -> None:
    expected, counts = 1e3 * drawn(0, 2, 3, 8, 8) + 10, 1e3 * drawn(1, 2, 3, 8, 8) + 10
    dose = 10 ** (2 * drawn(2, 2, 3, 1, 1))
    value = shape_of_amplitudes(expected, counts)
    torch.testing.assert_close(shape_of_amplitudes(dose * expected, 7 * counts), value, rtol=1e-6, atol=0)
    assert 0.01 < float(value) < 1
    assert float(shape_of_amplitudes(5 * counts, counts)) < 1e-12


def test_bad_pixels_and_patterns_without_counts_give_finite_values_and_gradients() -> None:
    expected, counts = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    counts[0, 0] = 4.0
    counts[0, 0, 0, 0] = 1e9
    measured = torch.ones(4, 4, dtype=torch.bool)
    measured[0, 0] = False
    expected.requires_grad_()
    shape_of_amplitudes(expected, counts, measured).backward()
    assert expected.grad is not None
    assert expected.grad.isfinite().all()
    assert float(shape_of_amplitudes(counts[:, :1] / 2, counts[:, :1], measured)) < 1e-9


def test_labels_are_compared_where_the_probe_has_photons() -> None:
    labels = torch.complex(drawn(3, 1, 2, 4, 4), drawn(4, 1, 2, 4, 4))
    power = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    power[..., :2, :] = 3.0
    patches = labels.clone()
    patches[..., 2:, :] += 100
    assert float(weighted_mae(patches, labels, power)) == 0
    patches[..., 0, :] += 0.5j
    assert abs(float(weighted_mae(patches, labels, power)) - 0.25) < 1e-12
