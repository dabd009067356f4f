"""How much a command shows: progress on 80 columns, --quiet, --json and --json-progress, --dry-run."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

import ptychopinn
from ptychopinn.cli.console import output
from ptychopinn.cli.progress import ProgressDisplay

QUICK = ["--refine", "3", "--set", "reconstruction.check=false"]


@pytest.fixture(autouse=True)
def _usual_output() -> Iterator[None]:
    yield
    output.reset()


def frames(rounds: int = 3) -> list[str]:
    """What a terminal of 80 columns shows of a training and of a study."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    numbers = {"train_loss": 0.123456, "val_loss": 0.234567, "learning_rate": 0.000987}
    with ProgressDisplay(console) as shown:
        shown.on_run(0, 12, "")
        for done in range(1, rounds + 1):
            time.sleep(0.05)
            shown.on_epoch(done, 4000, numbers)
            shown.on_run(done, 12, "hybrid_resnet, 1024 patterns, seed 2, phase PSNR 31.41 dB")
            shown._live.refresh()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").splitlines()


def test_a_terminal_of_80_columns_shows_the_time_left() -> None:
    shown = frames()
    last = [next(line for line in reversed(shown) if line.startswith(stage)) for stage in ("training ", "study ")]

    assert max(map(len, shown)) <= 80
    assert re.search(r"3/4000 \d+:\d\d:\d\d left loss 0\.1", last[0])
    assert re.search(r"3/12 +\d+:\d\d:\d\d left", last[1])


def test_the_next_training_of_a_study_begins_anew() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with ProgressDisplay(console) as shown:
        for _ in range(2):
            for done in (1, 2, 3):
                shown.on_epoch(done, 3, {"train_loss": 1.0})
        shown.on_epoch(1, 3, {"train_loss": 1.0})
        (task,) = shown._live.tasks
        assert (task.completed, task.finished) == (1, False)


def test_quiet_shows_no_progress_and_no_results(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", scan_file, "-o", tmp_path / "out", *QUICK, "--quiet")

    assert outcome.code == 0
    assert outcome.out == ""
    assert "refining" not in outcome.err
    assert (tmp_path / "out" / "reconstruction.npz").is_file()
    assert ptycho("reconstruct", tmp_path / "no.npz", "-o", tmp_path / "out", "-q").err.startswith("Error: ")
    assert "simulated" in ptycho("simulate", "-o", tmp_path / "s.npz", "--set", "simulation.object_size_px=80").out


def test_progress_warnings_and_errors_are_json_lines(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", scan_file, "-o", tmp_path / "out", *QUICK, "--json-progress")
    events = [json.loads(line) for line in outcome.err.splitlines()]
    progress = [event for event in events if event["event"] == "progress"]

    assert [(event["stage"], event["done"], event["total"]) for event in progress] == [
        ("refining", number, 3) for number in (1, 2, 3)
    ]
    assert progress[1]["seconds_left"] > 0
    assert progress[1]["deviance"] > 0
    assert {"log", "verdict"} & {event["event"] for event in events}
    refused = ptycho("reconstruct", tmp_path / "no.npz", "-o", tmp_path / "o", "--json-progress")
    assert json.loads(refused.err)["event"] == "error"


def test_info_check_and_evaluate_print_json(
    ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path
) -> None:
    scan = json.loads(ptycho("info", scan_file, "--json").out)
    assert (scan["content"], scan["patterns"], scan["pattern_size_px"]) == ("scan", 121, 16)
    assert scan["overlap"] == pytest.approx(ptychopinn.info(scan_file).overlap)
    assert json.loads(ptycho("info", model_file, "--json").out)["architecture"] == "cnn"
    assert json.loads(ptycho("info", "default", "--json").out)["content"] == "prior"

    image = ptychopinn.reconstruct(scan_file, None, tmp_path / "out", refine=3, overrides=QUICK[3:]).paths[
        "reconstruction"
    ]
    one = json.loads(ptycho("evaluate", image, "--reference", scan_file, "--json", "-o", tmp_path / "scores").out)
    assert one["reference"]["psnr_phase"] == pytest.approx(ptychopinn.evaluate(image, scan_file).report["psnr_phase"])
    assert Path(one["files"]["figure"]).is_file()
    words = ["evaluate", image, image, "--name", "a", "--name", "b", "--reference", scan_file, "--json", "--quiet"]
    assert set(json.loads(ptycho(*words).out)["reconstructions"]) == {"a", "b"}


def promised(text: str) -> set[str]:
    """Files that a dry run names."""
    joined = " ".join(text.split())
    (names,) = re.findall(r"would write \S+: (.*?) would ", joined)
    return {name.strip("/") for name in re.split(r", | or ", names)}


@pytest.mark.parametrize("command", ["run", "train", "reconstruct"])
def test_a_dry_run_writes_nothing_and_names_what_a_run_writes(
    ptycho: Callable,
    scan_file: Path,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("out")
    words = [command, scan_file, "-o", folder, *(QUICK if command == "reconstruct" else [*tiny, *QUICK[2:]])]
    outcome = ptycho(*words, "--dry-run")

    assert outcome.code == 0, outcome.err
    assert not folder.exists()
    assert "121 patterns of 16 x 16 px, counts" in " ".join(outcome.out.split())
    assert re.search(r"would take +about \d+ (s|min)", outcome.out)
    assert ptycho(*words).code == 0
    written = {path.name for path in folder.iterdir()}
    expected = promised(outcome.out)
    if command == "run":
        assert written | {"_solver.npz", "_solver.png"} == {
            *expected - {"reconstruction_network.npz", "reconstruction_network.png"},
            *(name for name in written if "_network" in name or "_solver" in name),
        }
    else:
        assert written == expected


def test_a_dry_run_refuses_what_the_command_refuses(
    ptycho: Callable, scan_file: Path, model_file: Path, tiny: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for words in (
        ["run", tmp_path / "no.npz", "-o", tmp_path / "out"],
        ["train", scan_file, "-o", model_file.parent],
        ["run", scan_file, "-o", tmp_path / "file" / "out"],
        ["run", scan_file, "-o", tmp_path / "out", "--set", "training.epoch=3"],
        ["reconstruct", scan_file, "-o", tmp_path / "out", "--model", tmp_path / "no.zip"],
        ["reconstruct", scan_file, "-o", tmp_path / "out", "--refine", "0"],
    ):
        outcome = ptycho(*words, "--dry-run")
        assert outcome.code == 2, words
        assert outcome.err.startswith("Error: "), words
        assert not (tmp_path / "out").exists()


def test_a_dry_run_with_a_model_counts_the_patterns(
    ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path
) -> None:
    text = " ".join(
        ptycho("reconstruct", scan_file, "--model", model_file, "-o", tmp_path / "o", "--dry-run").out.split()
    )

    assert "prediction by the network cnn: 121 patterns, about 1 s" in text
    assert "iterative solver" not in text
