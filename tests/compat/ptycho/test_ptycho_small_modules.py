"""Scores, metadata and carrying arrays under the earlier names."""

import numpy as np
import pytest

from ptycho._annotated import AnnotatedArray, GroupedData, annotated, annotation_of
from ptycho.evaluation import eval_reconstruction
from ptycho.metadata import MetadataManager
from ptychopinn.errors import OutputError, ScanError


def test_scores_ignore_what_phase_retrieval_cannot_know(scan) -> None:
    truth = scan().object_guess
    report = eval_reconstruction(np.abs(truth), np.angle(truth * np.exp(0.7j)), truth)
    assert report["psnr_phase"] > 60
    assert report["mae_amplitude"] < 1e-3
    noisy = truth + np.random.default_rng(0).normal(0, 0.2, truth.shape)
    worse = eval_reconstruction(np.abs(noisy)[..., None], np.angle(noisy)[..., None], truth[..., None])
    assert worse["psnr_phase"] < 40
    assert {"mse_amplitude", "ssim_amplitude", "ms_ssim_amplitude"} <= set(report)
    assert any(key.startswith("frc_") for key in report)


def test_metadata_travel_with_the_arrays(tmp_path) -> None:
    arrays = {"a": np.arange(3), "b": np.ones((2, 2), np.complex64)}
    path = MetadataManager.save_with_metadata(tmp_path / "data.npz", arrays, {"nphotons": 1e6, "steps": [1, "x"]})
    read, metadata = MetadataManager.load_with_metadata(path)
    assert metadata == {"nphotons": 1e6, "steps": [1, "x"]}
    assert set(read) == {"a", "b"}
    np.testing.assert_array_equal(read["b"], arrays["b"])


def test_files_without_metadata_are_read(tmp_path) -> None:
    np.savez(tmp_path / "data.npz", a=np.arange(3))
    read, metadata = MetadataManager.load_with_metadata(tmp_path / "data.npz")
    assert (list(read), metadata) == (["a"], None)


def test_nothing_is_pickled_or_unpickled(tmp_path) -> None:
    with pytest.raises(OutputError, match="a are no arrays of numbers or text"):
        MetadataManager.save_with_metadata(tmp_path / "data.npz", {"a": np.array([{}], object)}, {})
    with pytest.raises(OutputError, match="no plain JSON values"):
        MetadataManager.save_with_metadata(tmp_path / "data.npz", {"a": np.arange(3)}, {"scan": object()})
    np.savez(tmp_path / "pickled.npz", _metadata=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ScanError, match="never unpickled"):
        MetadataManager.load_with_metadata(tmp_path / "pickled.npz")
    np.savez(tmp_path / "broken.npz", _metadata=np.array("[1]"))
    with pytest.raises(ScanError, match="no JSON object"):
        MetadataManager.load_with_metadata(tmp_path / "broken.npz")
    with pytest.raises(FileNotFoundError):
        MetadataManager.load_with_metadata(tmp_path / "absent.npz")


def test_arrays_carry_on_through_arithmetic_only() -> None:
    array = annotated(np.arange(6.0).reshape(2, 3), "kept")
    for same_rows in (array * 2, 2 * array, array / 3, np.sqrt(array), array + np.ones(3), np.array(2) * array):
        assert annotation_of(same_rows, str) == "kept"
    others = (
        array[::-1],
        array[:1],
        array.T,
        array.copy(),
        array.reshape(3, 2),
        np.array(array),
        array.take([1, 0], 0),
    )
    for other_rows in others:
        assert annotation_of(other_rows, str) is None
    assert type(array.sum()) is not AnnotatedArray
    assert annotation_of(annotated(np.ones((1, 3)), "kept") + np.ones((2, 3)), str) is None
    assert annotation_of(array, int) is None


def test_arithmetic_in_place_carries_on_and_gives_plain_numbers() -> None:
    values = np.arange(3.0)
    array = annotated(values, "kept")
    array *= 2
    assert annotation_of(array, str) == "kept"
    np.testing.assert_array_equal(values, [0, 2, 4])
    np.testing.assert_array_equal(np.asarray(array), values)


def test_entries_of_a_dictionary_of_groups_are_made_once() -> None:
    made = []
    data = GroupedData({"large": lambda: made.append(1) or np.ones(3), "small": 1})
    assert list(data) == ["large", "small"]
    assert "large" in data
    assert not made
    assert data["large"] is data["large"] is dict(data)["large"] is {**data}["large"]
    assert len(made) == 1
    assert data.get("absent") is None
