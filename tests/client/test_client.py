"""ptychodus 1.7.0, as installed, drives all four reconstructors through its own child processes.

A session with a probe of one mode and one with two, each in two processes of ptychodus: the first exports, trains,
reconstructs and saves; then the training folder is deleted; the second loads the saved model and reconstructs. With two
modes all four train one after another in the folder that holds the training data, as the client's window does.
"""

import base64
import csv
import hashlib
import importlib.metadata
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import shift

pytestmark = pytest.mark.client

PINN, SUPERVISED = "ptychopinn_pinn", "ptychopinn_supervised"
TORCH, TORCH_SUPERVISED = "ptychopinn-torch_unsupervised", "ptychopinn-torch_supervised"
ALGORITHMS = (PINN, SUPERVISED, TORCH, TORCH_SUPERVISED)
EPOCHS = 2
HALF_A_PIXEL = [partial(shift, shift=by, order=1) for by in ((0.5, 0), (0, 0.5), (-0.5, 0), (0, -0.5), (0.5, 0.5))]
NOISE_OF_LIGHTNING = ("GPU available", "TPU", "Tip:", "it/s", "lightning_logs", "Trainer.fit", "LOCAL_RANK")

DEFAULTS = {"PtychoPINNTraining": {"NumEpochs": EPOCHS}, "PtychoPINNTorchTraining": {"epochs": EPOCHS}}
"""Every other setting stays as ptychodus starts: `model_size` 128, `ddp_spawn`, `cuda`, four channels, ..."""
TWO_MODES = {
    **DEFAULTS,
    "PtychoPINNModel": {"GridSize": 2},
    "PtychoPINNTorchData": {"model_size": 32, "num_channels": 1, "grid_size_x": 1, "grid_size_y": 1},
}


@dataclass(frozen=True)
class Session:
    """The two processes of one session and the files they left."""

    modes: int
    folder: Path
    first: Any
    second: Any
    trained_in: dict[str, list[str]]

    def product(self, name: str) -> Any:
        """A product of the session, read by ptychodus."""
        from ptychodus.api.io import load_product

        return load_product(self.folder / f"{name}.h5")

    def image(self, algorithm: str, which: str) -> NDArray[np.complexfloating]:
        """The object of a product that the client wrote."""
        array = self.product(f"{algorithm}/{which}").object_.get_array()
        assert array.shape[0] == 1
        return array[0]


@pytest.fixture(scope="module")
def sessions(
    tmp_path_factory: pytest.TempPathFactory,
    drive: Callable[..., Any],
    scene: ModuleType,
) -> Callable[[int], Session]:
    """Both processes of a session, with the training folders gone in between; each session runs once."""

    @lru_cache
    def hold(modes: int) -> Session:
        folder = tmp_path_factory.mktemp(f"modes{modes}")
        scene.write_scene(folder, modes)
        _write_what_is_no_model(folder)
        settings = DEFAULTS if modes == 1 else TWO_MODES
        first_steps = {algorithm: _first_steps(algorithm, modes) for algorithm in ALGORITHMS}
        second_steps = {algorithm: _second_steps(algorithm, modes) for algorithm in ALGORITHMS}
        first = drive(folder, "first", first_steps, settings, one_folder=modes == 2)
        trained_in = {algorithm: _take_away_training_folder(folder / algorithm) for algorithm in ALGORITHMS}
        shutil.rmtree(folder / "data", ignore_errors=True)
        second = drive(folder, "second", second_steps, settings)
        return Session(modes, folder, first, second, trained_in)

    return hold


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one mode", "two modes"])
def session(request: pytest.FixtureRequest, sessions: Callable[[int], Session]) -> Session:
    """The session with a probe of one mode, or of two."""
    return sessions(request.param)


@pytest.fixture
def one_mode(sessions: Callable[[int], Session]) -> Session:
    """The session that also tries what must fail."""
    return sessions(1)


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    """Each of the four reconstructors."""
    return request.param


def _first_steps(algorithm: str, modes: int) -> list[str]:
    if modes == 2:
        return ["export", "train", "reconstruct", "save"]
    flat = ["train_on_flat_object"] if algorithm in (SUPERVISED, TORCH_SUPERVISED) else []
    return ["discover", "without_model", *flat, _export_of(algorithm), "train", "reconstruct", "save"]


def _export_of(algorithm: str) -> str:
    """The torch adapter trains on every file that it finds, so what one recipe shall repeat is one file."""
    return "export_one_file" if algorithm in (TORCH, TORCH_SUPERVISED) else "export"


def _second_steps(algorithm: str, modes: int) -> list[str]:
    further = {
        PINN: ["reconstruct_wide", "reconstruct_without_a_model_file"],
        TORCH: ["reconstruct_without_a_model_file"],
    }
    return ["load_and_reconstruct", *(further.get(algorithm, []) if modes == 1 else [])]


def _write_what_is_no_model(folder: Path) -> None:
    (folder / "letter.ckpt").write_text("Dear all,")
    with zipfile.ZipFile(folder / "letter.zip", "w") as archive:
        archive.writestr("letter.txt", "Dear all,")


def _take_away_training_folder(place: Path) -> list[str]:
    """Keep the recipe, delete the rest; the names of the files that were there."""
    out = place / "out"
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) if out.is_dir() else []
    for recipe in out.rglob("recipe.yaml") if out.is_dir() else []:
        shutil.copyfile(recipe, place / "recipe.yaml")
    shutil.rmtree(out, ignore_errors=True)
    return names


def test_client_is_the_unmodified_1_7_0() -> None:
    distribution = importlib.metadata.distribution("ptychodus")
    assert distribution.version == "1.7.0"
    for name, digest, _ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        if name.startswith("ptychodus/") and digest.startswith("sha256="):
            found = hashlib.sha256(Path(distribution.locate_file(name)).read_bytes()).digest()
            assert base64.urlsafe_b64encode(found).rstrip(b"=").decode() == digest.removeprefix("sha256="), name


def test_discovers_four_reconstructors(one_mode: Session) -> None:
    assert set(ALGORITHMS) <= set(one_mode.first.value(PINN, "discover"))


def test_exports_counts_with_all_modes(session: Session, algorithm: str) -> None:
    exported = session.first.value(algorithm, "export" if session.modes == 2 else _export_of(algorithm))
    assert exported["diff3d"] == ["uint16", 78, 32, 32]
    assert exported["probeGuess"] == ["complex64", session.modes, 32, 32]


def test_without_a_model_the_client_says_so(one_mode: Session, algorithm: str) -> None:
    assert "Cannot reconstruct: no" in one_mode.first.error(algorithm, "without_model")


@pytest.mark.parametrize("algorithm", [SUPERVISED, TORCH_SUPERVISED])
def test_supervised_training_on_a_flat_object_asks_for_a_reconstructed_one(one_mode: Session, algorithm: str) -> None:
    account = one_mode.first.error(algorithm, "train_on_flat_object")
    last = account.strip().splitlines()[-1]
    assert "objectGuess" in last
    assert "export" in last


def test_losses_per_epoch(session: Session, algorithm: str) -> None:
    """The torch adapter collects them by its callback; the other one has no place for them."""
    (output,) = session.first.value(algorithm, "train")
    if algorithm in (PINN, SUPERVISED):
        assert output["training_loss"] == output["validation_loss"] == []
        return
    assert output["goal"] == output["progress"] == EPOCHS
    for name in ("training_loss", "validation_loss"):
        assert [epoch for epoch, _ in output[name]] == list(range(EPOCHS)), name
        assert np.isfinite([value for _, value in output[name]]).all(), name
    assert len({value for _, value in output["training_loss"]}) == EPOCHS


def test_reconstruction_has_the_frame_of_the_input_object(session: Session, algorithm: str) -> None:
    session.first.value(algorithm, "reconstruct")
    wanted, found = (session.product(name).object_ for name in ("product", f"{algorithm}/trained"))
    assert found.get_geometry() == wanted.get_geometry()
    array = found.get_array()
    assert np.iscomplexobj(array)
    assert np.isfinite(array).all()
    assert np.ptp(abs(array)) > 0


def test_image_lies_where_the_light_fell(session: Session, scene: ModuleType, algorithm: str) -> None:
    session.first.value(algorithm, "reconstruct")
    _check_place(scene.light(session.product("product")), session.image(algorithm, "trained"))


@pytest.mark.parametrize("wrong", [np.flipud, np.fliplr, lambda image: image[::-1, ::-1], *HALF_A_PIXEL])
def test_a_displaced_image_would_show(session: Session, scene: ModuleType, wrong: Any) -> None:
    light = scene.light(session.product("product"))
    threshold = np.median(light)
    right = np.where(light < threshold, 1, 2).astype(complex)
    _check_place(light, right)
    with pytest.raises(AssertionError):
        _check_place(wrong(light), right)


def test_object_larger_than_the_scan_is_kept_whole(one_mode: Session, scene: ModuleType) -> None:
    """The TensorFlow-contract adapter hands the object over, so its canvas may be anything."""
    one_mode.second.value(PINN, "reconstruct_wide")
    wide = one_mode.product("wide")
    image = one_mode.image(PINN, "wide")
    assert image.shape == wide.object_.get_array().shape[1:]
    _check_place(scene.light(wide), image)
    usual = one_mode.image(PINN, "loaded")
    inner = image[: usual.shape[0], : usual.shape[1]]
    assert abs(inner - usual).max() < 1e-4 * abs(usual).max()


def test_saved_model_gives_the_same_image_in_a_new_process(session: Session, algorithm: str) -> None:
    session.second.value(algorithm, "load_and_reconstruct")
    trained, loaded = (session.image(algorithm, which) for which in ("trained", "loaded"))
    assert abs(loaded - trained).max() <= 1e-5 * abs(trained).max()


@pytest.mark.parametrize("algorithm", [PINN, SUPERVISED])
def test_saved_model_is_one_archive(session: Session, algorithm: str) -> None:
    assert session.first.value(algorithm, "save") == "model.zip"
    with zipfile.ZipFile(session.folder / algorithm / "model.zip") as archive:
        assert "manifest.json" in archive.namelist()


@pytest.mark.parametrize(("algorithm", "named"), [(PINN, "ptychopinn-bundle-"), (TORCH, "letter.ckpt")])
def test_a_file_that_is_no_model_is_an_error_that_names_it(one_mode: Session, algorithm: str, named: str) -> None:
    account = one_mode.second.error(algorithm, "reconstruct_without_a_model_file")
    assert named in account.strip().splitlines()[-1]


def test_run_leaves_its_recipe(one_mode: Session, algorithm: str) -> None:
    assert sum(Path(name).name == "recipe.yaml" for name in one_mode.trained_in[algorithm]) == 1
    if algorithm in (PINN, SUPERVISED):
        assert "wts.h5.zip" in one_mode.trained_in[algorithm]


def test_recipe_of_the_run_gives_the_same_object(
    one_mode: Session, algorithm: str, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    one_mode.first.value(algorithm, "reconstruct")
    place = one_mode.folder / algorithm
    scan, recipe = place / "in" / "train_data.npz", place / "recipe.yaml"
    command = [
        sys.executable,
        "-c",
        "from ptychopinn.cli import main; main()",
        "run",
        str(scan),
        "--config",
        str(recipe),
        "-o",
        "out",
        "--no-refine",
    ]
    done = run_command(command, tmp_path)
    assert done.returncode == 0, done.stdout
    with np.load(tmp_path / "out" / "reconstruction.npz") as written:
        again = written["object"]
    wanted = one_mode.image(algorithm, "trained")
    assert again.shape == wanted.shape
    assert abs(again - wanted).max() <= 1e-5 * abs(wanted).max()


@pytest.mark.parametrize("step", ["train", "reconstruct"])
def test_task_log_names_the_backend(session: Session, algorithm: str, step: str) -> None:
    """The client's task log shows the loggers of one adapter only."""
    name = "ptychopinn-torch" if algorithm in (TORCH, TORCH_SUPERVISED) else "ptychopinn"
    shown = [
        message
        for logger, _, message in session.first.log(algorithm, step)
        if logger == name or logger.startswith(f"{name}.")
    ]
    assert any("backend" in message and "pytorch" in message for message in shown), shown


def test_parent_process_imports_no_framework(session: Session, algorithm: str) -> None:
    for drive in (session.first, session.second):
        for step, taken in drive.report[algorithm].items():
            assert not {"torch", "lightning", "tensorflow", "mlflow"} & set(taken["modules"]), step
            assert not taken["cuda"], step


def test_nothing_is_written_to_the_working_directory(session: Session) -> None:
    assert session.first.left_behind == []
    assert session.second.left_behind == []


def test_lightning_stays_silent(session: Session) -> None:
    for drive in (session.first, session.second):
        assert [noise for noise in NOISE_OF_LIGHTNING if noise in drive.printed] == []
    assert [name for names in session.trained_in.values() for name in names if "lightning_logs" in name] == []


def _check_place(light: NDArray[np.float64], image: NDArray[np.complexfloating]) -> None:
    """Wherever more light fell there is an image, wherever less fell there is fill."""
    fill = image == 1
    assert 0.2 < fill.mean() < 0.8
    assert light[fill].max() < 1.2 * light[~fill].min()
