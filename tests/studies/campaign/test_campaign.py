"""`ptychopinn campaign` from end to end: failures, names, retries, watching, models."""

import csv
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kept import differences, results
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.cli import app
from ptychopinn.cli.several import INCOMPLETE
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.studies.campaign import Watch, campaign
from ptychopinn.studies.campaign.ledger import Ledger

SCAN = ["simulation.object_size_px=32", "simulation.probe_size_px=16", "simulation.step_px=5"]
QUICK = ["reconstruction.check=false", "reconstruction.prior=none"]
WORDS = [*("--refine", "2"), *(word for setting in QUICK for word in ("--set", setting))]


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ptychopinn.simulate(tmp_path_factory.mktemp("scan") / "scan.npz", overrides=SCAN).path


def rows(output: Path) -> dict[str, dict[str, str]]:
    with (output / "table.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["campaign", *(str(word) for word in words)], catch_exceptions=False)


def test_failures_are_listed_and_retried_and_names_do_not_collide(scan_file: Path, tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    for name in ("a/scan.npz", "b/scan.npz"):
        (data / name).parent.mkdir(parents=True)
        shutil.copy(scan_file, data / name)
    torn = data / "torn.npz"
    torn.write_bytes(scan_file.read_bytes()[:2000])
    words = (f"{data}/**/*.npz", "-o", output, *WORDS)

    ended = run(*words)
    assert ended.exit_code == INCOMPLETE
    assert "torn failed: " in ended.stderr
    assert "2 of 3 scans are done" in ended.stdout
    table = rows(output)
    assert [row["state"] for row in table.values()] == ["done", "done", "failed"]
    assert "cannot be read as an NPZ file" in table["torn"]["message"]
    (first, second) = (name for name in table if name.startswith("scan"))
    single = tmp_path / "single"
    ptychopinn.reconstruct(scan_file, None, single, refine=2, overrides=QUICK)
    for name in (first, second):
        assert differences(results(single), results(output / name), (single, output / name)) == []

    written = (output / first / "metrics.json").stat().st_mtime_ns
    shutil.rmtree(output / second)
    shutil.copy2(scan_file, torn)
    os.utime(torn, ns=(1, 1))
    ended = run(*words, "--retry-failed")
    assert ended.exit_code == 0, ended.stderr
    assert {row["state"] for row in rows(output).values()} == {"done"}
    assert (output / first / "metrics.json").stat().st_mtime_ns == written
    with Ledger(output) as ledger:
        assert [event for name, event in ledger.events() if name == first] == ["found", "claimed", "done"]
    assert (output / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")

    refused = run(*words, "--set", "reconstruction.refine.momentum=0.1")
    assert refused.exit_code == 2
    assert "begun with reconstruction.refine.momentum" in refused.stderr


def test_watching_takes_a_file_that_arrives_later_and_ends_when_idle(scan_file: Path, tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    whole = scan_file.read_bytes()

    def arrive() -> None:
        with (data / "late.npz").open("wb") as file:
            file.write(whole[:2000])
            file.flush()
            time.sleep(1.5)
            file.write(whole[2000:])
        (data / "torn.npz").write_bytes(whole[:2000])

    arriving = threading.Thread(target=arrive)
    arriving.start()
    ended = run(data, "-o", output, *WORDS, "--watch", "--settle", "0.5", "--idle", "4")
    arriving.join()
    assert ended.exit_code == INCOMPLETE
    assert rows(output)["late"]["state"] == "done"
    assert list(rows(output)) == ["late"]
    assert "torn.npz was not taken: it is not finished" in ended.stderr


def test_a_scan_named_twice_and_a_link_in_place_of_its_folder(scan_file: Path, tmp_path: Path) -> None:
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    output.mkdir()
    (output / "scan").symlink_to(elsewhere)
    seen: list[tuple[int, int, int]] = []
    done = campaign(
        [scan_file, str(scan_file)],
        output,
        overrides=QUICK,
        refine=2,
        on_scan=lambda *numbers: seen.append(numbers),
    )
    assert [one.state for one in done.entries] == ["failed"]
    assert "is a link" in done.failed[0].error
    assert list(elsewhere.iterdir()) == []
    assert seen[-1] == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": True, "refine": 3}, "leave out model and refine, or train"),
        ({"probe": "model"}, "without a model"),
        ({"workers": 0}, "must be positive"),
        ({"overrides": ["reconstruction.refine.loss=none_such"]}, "none_such"),
        ({"model": "nothere.zip"}, "nothere.zip"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    scan_file: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ptychopinn.PtychoPINNError, match=message):
        campaign(scan_file, tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_nothing_found_and_bad_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no scans found"):
        campaign(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="at least 0 s"):
        Watch(settle_s=-1)
    assert run(tmp_path, "-o", tmp_path / "out", "--idle", "3").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["model", "train"])
def test_networks_give_what_the_single_command_gives(scan_file: Path, tmp_path: Path, how: str) -> None:
    small = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2", *QUICK]
    output, single = tmp_path / "out", tmp_path / "single"
    chosen: dict[str, Any]
    if how == "train":
        ptychopinn.run(scan_file, single, overrides=small)
        chosen = {"train": True, "overrides": small}
    else:
        model = ptychopinn.train(scan_file, tmp_path / "model", overrides=small[:3]).paths["model"]
        ptychopinn.reconstruct(scan_file, model, single)
        chosen = {"model": model}
    done = campaign(scan_file, output, **chosen)
    assert done.is_complete, done.failed
    assert differences(results(single), results(output / "scan"), (single, output / "scan")) == []
