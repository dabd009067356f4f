"""Earlier names of shifts, patches, reassembly, simulation and probe, against the numbers of the earlier system."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptycho import diffsim, params, probe, tf_helper


def load(shared_dir: Path, name: str) -> dict:
    with np.load(shared_dir / "parity" / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """The tolerance of the float32 physics."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["n12_M20_random", "n36_M10_grid", "n9_M24_integer"])
def test_reassembly_of_plain_arrays(shared_dir, name) -> None:
    data = load(shared_dir, f"reassembly/{name}")
    patches, offsets, M = data["in_patches"], data["in_global_offsets"], int(data["M"])
    same(tf_helper.reassemble_position(patches, offsets, M=M), data["tf_reassemble_position"])
    same(tf_helper.shift_and_sum(patches, offsets, M=M), data["tf_shift_and_sum"])
    same(tf_helper.reassemble_position(patches, offsets.transpose(0, 1, 3, 2), M=M), data["tf_reassemble_position"])


def test_reassembly_asks_for_one_offset_for_each_patch() -> None:
    patches = np.ones((3, 8, 8, 4), np.complex64)
    with pytest.raises(ValueError, match="one offset for each patch"):
        tf_helper.reassemble_position(patches, np.zeros((3, 1, 2, 1)), M=4)
    with pytest.raises(ValueError, match=r"\(B, 1, 2, C\)"):
        tf_helper.reassemble_position(patches, np.zeros((3, 2)), M=4)
    assert tf_helper.reassemble_position(patches, np.zeros((3, 1, 2, 4)), M=4).shape == (4, 4, 1)


@pytest.mark.shared_data
def test_translation(shared_dir) -> None:
    data = load(shared_dir, "forward/translation")
    same(tf_helper.translate(data["in_img"], data["in_offsets_xy"]), data["tf_translate"])
    same(tf_helper.translate(data["in_img"][..., None], data["in_offsets_xy"])[..., 0], data["tf_translate"])


@pytest.mark.shared_data
@pytest.mark.parametrize("gridsize", [1, 2])
def test_patches_of_groups(shared_dir, gridsize) -> None:
    data = load(shared_dir, f"forward/patches_gs{gridsize}")
    about = json.loads(str(data["meta_json"]))
    params.cfg.update(N=64, gridsize=gridsize, offset=about["offset"], max_position_jitter=about["max_position_jitter"])
    assert (params.get("padded_size"), params.get("bigN")) == (about["padded_size"], about["bigN"])
    offsets = data["in_offsets"]
    same(tf_helper.extract_patches_position(data["in_big"], offsets), data["tf_extract_patches_position"])
    same(tf_helper.reassemble_patches(data["in_patches"], offsets), data["tf_reassemble_patches"])
    same(tf_helper.mk_norm(data["in_patches"], offsets), data["tf_mk_norm"])
    same(tf_helper.center_channels(data["in_patches"], offsets).real, data["tf_center_channels_real"])
    same(tf_helper.trim_reconstruction(data["tf_reassemble_patches"]), data["tf_trim"])


def test_windows_that_leave_the_canvas_are_refused() -> None:
    params.set("N", 16)
    with pytest.raises(ValueError, match="leave the canvas"):
        tf_helper.extract_patches_position(np.ones((1, 20, 20, 1)), np.full((1, 1, 2, 1), 9.0))


@pytest.mark.shared_data
@pytest.mark.parametrize("size", [64, 128])
def test_forward_amplitudes(shared_dir, size) -> None:
    data = load(shared_dir, f"forward/diffract_N{size}")
    waves = data["in_amp"] * np.exp(1j * data["in_phi"]) * data["in_probe"]
    kept, amplitudes = tf_helper.pad_and_diffract(waves[..., None], size, size, pad=False)
    same(kept[..., 0], waves)
    same(amplitudes[..., 0], data["tf_pad_and_diffract_noisefree"])


@pytest.mark.shared_data
def test_padded_forward_amplitudes(shared_dir) -> None:
    data = load(shared_dir, "forward/diffract_N64")
    object_ = (data["in_amp"] * np.exp(1j * data["in_phi"]))[:, 16:48, 16:48, None]
    padded, amplitudes = tf_helper.pad_and_diffract(object_, 32, 32)
    same(amplitudes[..., 0], data["tf_pad_and_diffract_padTrue_halfN"])
    assert padded.shape == amplitudes.shape


@pytest.mark.shared_data
@pytest.mark.parametrize("size", [64, 128])
def test_simulated_amplitudes(shared_dir, size) -> None:
    """The counts are another Poisson draw: X s is the root of whole numbers that scatter about (s A)^2."""
    data = load(shared_dir, f"forward/diffract_N{size}")
    params.set("nphotons", 1e6)
    parts = data["in_amp"][..., None], data["in_phi"][..., None]
    X, illuminated, phase, scale = diffsim.illuminate_and_diffract(*parts, data["in_probe"])
    assert scale == pytest.approx(float(data["tf_intensity_scale"]), rel=1e-5)
    assert diffsim.scale_nphotons(illuminated) == pytest.approx(float(data["tf_scale_nphotons"]), rel=1e-5)
    if size == 64:
        same(illuminated[..., 0], data["tf_Y_I_illuminated"])
    np.testing.assert_array_equal(phase, parts[1])
    counts, expected = (X[..., 0] * scale) ** 2, (data["tf_X_expected_noisefree"] * scale) ** 2
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-4 * counts.max())
    bright = expected > 5
    chi_squared = ((counts - expected) ** 2 / expected)[bright].mean()
    assert chi_squared == pytest.approx(1, abs=4 * (2.2 / bright.sum()) ** 0.5)
    fixed, *_ = diffsim.illuminate_and_diffract(*parts, data["in_probe"], intensity_scale=2 * scale)
    assert ((fixed * 2 * scale) ** 2).sum() == pytest.approx(4 * counts.sum(), rel=0.01)


@pytest.mark.shared_data
@pytest.mark.parametrize("size", [64, 128])
def test_probe_of_the_settings(shared_dir, size) -> None:
    data = load(shared_dir, f"forward/diffract_N{size}")
    params.set("probe_scale", 10.0)
    probe.set_probe_guess(None, data["in_probe"][..., None])
    same(probe.get_probe(), data["tf_set_probe_guess_normalized"])
    mask = load(shared_dir, f"forward/default_probe_N{size}")["tf_probe_mask_real"]
    np.testing.assert_array_equal(probe.get_probe_mask(size).astype(bool), mask)


def test_probes_of_several_modes_and_a_scale_of_zero_pass() -> None:
    modes = np.ones((3, 16, 16), np.complex128)
    params.set("probe_scale", 0.0)
    probe.set_probe(modes)
    np.testing.assert_array_equal(probe.get_probe(), modes)
    probe.set_probe_guess(None, None)
    with pytest.raises(KeyError, match="no probe was set"):
        probe.get_probe()
    with pytest.raises(ValueError, match=r"\(modes, H, W\)"):
        probe.set_probe_guess(None, np.ones((16, 8)))


def test_modes_add_as_intensities(scan) -> None:
    """Simulated amplitudes of a calibrated probe at scale 1 are those of the core's simulator."""
    made = scan(modes=2)
    y, x = (int(value) - 16 for value in np.floor(made.positions_px[0] + 0.5))
    patch = made.object_guess[y : y + 32, x : x + 32][None, ..., None]
    X, *_ = diffsim.illuminate_and_diffract(np.abs(patch), np.angle(patch), made.probe, intensity_scale=1.0)
    assert (X**2).sum() == pytest.approx(made.patterns[0].sum(), rel=0.05)
    one, *_ = diffsim.illuminate_and_diffract(np.abs(patch), np.angle(patch), made.probe[0], intensity_scale=1.0)
    assert (one**2).sum() < 0.9 * (X**2).sum()
