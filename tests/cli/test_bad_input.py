"""Whatever is wrong with the input: one clear sentence, exit code 2, nothing written."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Arrays = dict[str, NDArray]
Spoil = Callable[[Arrays], None]


def expect_refusal(outcome: object, folder: Path, *words: str) -> None:
    """Exit code 2, one line that holds the words, and no output folder."""
    assert outcome.code == 2  # type: ignore[attr-defined]
    lines = outcome.err.strip().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]
    assert not folder.exists()


def save(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def drop(key: str) -> Spoil:
    """Leave an array out."""

    def spoil(arrays: Arrays) -> None:
        del arrays[key]

    return spoil


def put(key: str, index: object, value: float) -> Spoil:
    """Change elements of an array, as floats."""

    def spoil(arrays: Arrays) -> None:
        arrays[key] = arrays[key].astype(np.float64 if np.isrealobj(arrays[key]) else np.complex128)
        arrays[key][index] = value

    return spoil


def replace(key: str, change: Callable[[NDArray], NDArray]) -> Spoil:
    """Put another array in place."""

    def spoil(arrays: Arrays) -> None:
        arrays[key] = change(arrays[key])

    return spoil


def few_positions(arrays: Arrays) -> None:
    """Nine patterns: fewer than a group."""
    for key in ("diff3d", "xcoords", "ycoords", "xcoords_start", "ycoords_start"):
        if key in arrays:
            arrays[key] = arrays[key][:9]


def corner(values: NDArray) -> NDArray:
    return np.fft.ifftshift(values, axes=(1, 2))


SPOILED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing patterns": (drop("diff3d"), ("diffraction", "diff3d")),
    "missing positions": (drop("xcoords"), ("xcoords",)),
    "two-dimensional patterns": (replace("diff3d", lambda d: d[0]), ("shape", "(N, H, W)")),
    "oblong patterns": (replace("diff3d", lambda d: d[:, :12]), ("12 x 16", "square")),
    "fewer positions than patterns": (replace("diff3d", lambda d: d[:50]), ("50", "121")),
    "fewer positions than a group": (few_positions, ("16", "9", "group_size")),
    "NaN in patterns": (put("diff3d", (3, 4, 5), np.nan), ("NaN", "index 3")),
    "infinite patterns": (put("diff3d", (3, 4, 5), np.inf), ("infinite", "index 3")),
    "NaN in positions": (put("xcoords", 7, np.nan), ("positions", "NaN")),
    "NaN in the probe": (put("probeGuess", (1, 2), np.nan), ("probe", "NaN")),
    "negative counts": (put("diff3d", (8, 0, 0), -2), ("negative", "index 8")),
    "all patterns zero": (replace("diff3d", np.zeros_like), ("zero",)),
    "probe of another size": (replace("probeGuess", lambda p: p[2:-2, 2:-2]), ("12 x 12", "16 x 16")),
    "zero frequency at the corner": (replace("diff3d", corner), ("corner", "--fftshift")),
    "object arrays": (replace("probeGuess", lambda p: p.astype(object)), ("probeGuess", "unpickled")),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_scans_are_refused(ptycho: Callable, arrays: Arrays, tmp_path: Path, case: str) -> None:
    spoil, words = SPOILED[case]
    spoil(arrays)
    path = save(tmp_path / "spoiled.npz", arrays)

    expect_refusal(ptycho("run", path, "-o", tmp_path / "out"), tmp_path / "out", str(path), *words)


@pytest.mark.parametrize("verb", ["run", "train"])
def test_missing_file(ptycho: Callable, tmp_path: Path, verb: str) -> None:
    outcome = ptycho(verb, tmp_path / "no.npz", "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", "no.npz", "no such file")


def test_a_file_that_is_no_npz(ptycho: Callable, tmp_path: Path) -> None:
    (tmp_path / "notes.npz").write_text("12 counts, all of them good")

    expect_refusal(ptycho("run", tmp_path / "notes.npz", "-o", tmp_path / "out"), tmp_path / "out", "no NPZ")


def test_a_truncated_npz(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    whole = scan_file.read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])

    expect_refusal(ptycho("run", tmp_path / "half.npz", "-o", tmp_path / "out"), tmp_path / "out", "damaged")


@pytest.mark.shared_data
def test_the_measured_corner_layout(ptycho: Callable, shared_dir: Path, tmp_path: Path) -> None:
    path = shared_dir / "data" / "siemens128_counts_corner.npz"

    expect_refusal(ptycho("run", path, "-o", tmp_path / "out"), tmp_path / "out", "corner", "--fftshift")


SETTINGS = {
    "unknown key": ("training.epoch=3", ("training.epoch", "did you mean epochs?")),
    "unknown section": ("trainig.epochs=3", ("trainig",)),
    "bad number": ("training.epochs=0", ("training.epochs", "greater than or equal to 1")),
    "bad type": ("training.learning_rate=fast", ("training.learning_rate", "fast")),
    "bad choice": ("model.kind=magic", ("model.kind", "magic")),
    "not a number": ("training.learning_rate=.nan", ("training.learning_rate",)),
    "group size": ("data.group_size=0", ("data.group_size", "greater than or equal to 1")),
    "no equals sign": ("training.epochs", ("section.key=value",)),
    "unknown architecture": ("model.generator.architecture=resnet", ("resnet", "cnn")),
    "no such device": ("training.device=cuda:77", ("cuda:77", "use auto or cpu")),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_bad_settings(ptycho: Callable, scan_file: Path, tmp_path: Path, case: str) -> None:
    setting, words = SETTINGS[case]
    outcome = ptycho("run", scan_file, "-o", tmp_path / "out", "--set", setting)

    expect_refusal(outcome, tmp_path / "out", *words)


@pytest.mark.parametrize("option", ["--mask-bits", "--energy-ev", "--distance", "--crop", "--position-scale"])
def test_zero_is_a_value_and_not_no_value(ptycho: Callable, scan_file: Path, option: str) -> None:
    outcome = ptycho("info", scan_file, option, "0")
    assert outcome.code == 2
    assert "greater than" in outcome.err


def test_unknown_key_in_a_recipe_file(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("training: {epoch: 3}\n")
    outcome = ptycho("train", scan_file, "-o", tmp_path / "out", "--config", recipe)

    expect_refusal(outcome, tmp_path / "out", str(recipe), "training.epoch", "did you mean epochs?")


def test_missing_recipe_file(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("run", scan_file, "-o", tmp_path / "out", "--config", tmp_path / "no.yaml")

    expect_refusal(outcome, tmp_path / "out", "no.yaml", "no such recipe file")


def test_labels_are_needed_for_supervised_training(ptycho: Callable, arrays: Arrays, tmp_path: Path) -> None:
    del arrays["objectGuess"]
    path = save(tmp_path / "plain.npz", arrays)
    outcome = ptycho("train", path, "-o", tmp_path / "out", "--set", "model.kind=supervised")

    expect_refusal(outcome, tmp_path / "out", "labels", "objectGuess")


@pytest.mark.parametrize("verb", ["run", "train"])
def test_output_folder_that_cannot_be_written(ptycho: Callable, scan_file: Path, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").write_text("in the way")
    outcome = ptycho(verb, scan_file, "-o", tmp_path / "file" / "out")

    expect_refusal(outcome, tmp_path / "file" / "out", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "in the way"


def test_simulated_scan_with_another_extension(ptycho: Callable, tmp_path: Path) -> None:
    outcome = ptycho("simulate", "-o", tmp_path / "out" / "scan.cxi")

    expect_refusal(outcome, tmp_path / "out", "scan.cxi", ".npz")


def test_model_trained_for_another_pattern_size(
    ptycho: Callable, model_file: Path, arrays: Arrays, tmp_path: Path
) -> None:
    arrays["diff3d"] = np.pad(arrays["diff3d"], ((0, 0), (2, 2), (2, 2)))
    arrays["probeGuess"] = np.pad(arrays["probeGuess"], 2)
    path = save(tmp_path / "large.npz", arrays)
    outcome = ptycho("reconstruct", path, "--model", model_file, "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", "20x20", "16x16")


def test_missing_model(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", scan_file, "--model", tmp_path / "wts.h5.zip", "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", "wts.h5.zip")


def test_truncated_bundle(ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "wts.h5.zip"
    half.write_bytes(model_file.read_bytes()[:-1000])
    outcome = ptycho("reconstruct", scan_file, "--model", half, "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", str(half))


def test_tampered_bundle(ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path) -> None:
    changed = tmp_path / "wts.h5.zip"
    with zipfile.ZipFile(model_file) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "recipe.json":
                content = json.dumps({**json.loads(content), "backend": "pytorch"}).encode()
            new.writestr(name, content)
    outcome = ptycho("reconstruct", scan_file, "--model", changed, "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", str(changed), "recipe.json")


def test_reconstruct_on_a_device_that_is_not_there(
    ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path
) -> None:
    outcome = ptycho("reconstruct", scan_file, "--model", model_file, "-o", tmp_path / "out", "--device", "cuda:77")

    expect_refusal(outcome, tmp_path / "out", "cuda:77")


def test_evaluate_needs_a_reference_object(ptycho: Callable, arrays: Arrays, tmp_path: Path) -> None:
    del arrays["objectGuess"]
    path = save(tmp_path / "plain.npz", arrays)
    outcome = ptycho("evaluate", path, "--reference", path, "-o", tmp_path / "out")

    expect_refusal(outcome, tmp_path / "out", str(path), "no reconstruction")


def test_an_existing_folder_is_left_as_it_was(
    ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "wts.h5.zip").write_bytes(model_file.read_bytes())
    outcome = ptycho("run", scan_file, "-o", tmp_path, "--set", "data.group_size=64", "--set", "data.n_patterns=20")

    assert outcome.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["wts.h5.zip"]
