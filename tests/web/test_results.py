"""What the page reads of a folder: all that a command writes, and never more than it can trust."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.web.patterns import Patterns
from ptychopinn.web.results import MOST_TEXT, changed_settings, read_result, result_paths, state_of
from ptychopinn.web.text import heading, metrics_table, settings_table, warnings


def test_a_result_is_read_with_all_its_parts(finished: Path) -> None:
    result = read_result(finished, "mine")

    assert result.faults == ()
    assert result.image is not None
    assert [number for number, _ in result.deviance] == [1, 2, 3, 4]
    assert result.recipe is not None
    assert result.recipe.reconstruction.refine.iterations == 4
    assert ("reconstruction.refine.iterations", "4", "0") in changed_settings(result.recipe)
    assert any("refined 4/4" in line for line in result.log)
    assert "amplitude misfit to the data" in metrics_table(result)
    assert result.metrics["verdict"]["message"] in heading(result)


def test_the_misfit_is_that_of_the_verdict(finished: Path) -> None:
    result = read_result(finished, "mine")
    patterns = Patterns(result)
    patterns.load()
    patterns.measure()

    assert patterns.ratio is not None
    stated = result.metrics["verdict"]["patterns"]
    assert np.median(patterns.ratio) == pytest.approx(stated["median_ratio"], rel=1e-6)
    assert int(np.argmax(patterns.ratio)) == stated["worst_pattern"]
    fit = patterns.fit(3)
    assert fit.measured.sum() > 0
    assert fit.ratio == patterns.ratio[3]
    assert fit.modelled.sum() == pytest.approx(fit.measured.sum(), rel=0.2)


def test_a_scan_that_is_not_there_or_another_is_refused_by_name(copied: Path, finished: Path, tmp_path: Path) -> None:
    result = read_result(copied, "mine")
    assert result.image is not None
    result.image.metadata["source"] = str(tmp_path / "gone.npz")
    with pytest.raises(ValueError, match=r"gone\.npz: the scan of the result is not there; give its file by --scan"):
        Patterns(result).load()
    for name in ("pieces", "//host/share/scan.npz", "\\\\host\\share\\scan.npz", 3):
        result.image.metadata["source"] = name
        with pytest.raises(ValueError, match="names no file of its scan"):
            Patterns(result).load()
    Patterns(result, finished.parent / "scan.npz").load()
    fewer = result.image.at_positions(np.arange(3))
    fewer.save(copied)
    with pytest.raises(ValueError, match="where the image has 3 of 16 px"):
        Patterns(read_result(copied, "mine"), finished.parent / "scan.npz").load()


def test_what_cannot_be_read_becomes_a_sentence(copied: Path) -> None:
    (copied / "metrics.json").write_text("[1")
    (copied / "recipe.yaml").write_text("nothing: 1\n")
    (copied / "reconstruction.npz").write_bytes(b"PK\x03\x04 damaged")
    (copied / "history.csv").write_bytes(b"epoch,train_loss\n1,x\n2,0.5\n\xff")

    result = read_result(copied, "mine")

    assert result.image is None
    assert len(result.faults) == 3
    assert {fault.split(":")[0] for fault in result.faults if ".json" in fault or ".yaml" in fault} >= {"metrics.json"}
    assert np.isnan(result.history["train_loss"][0])
    assert result.history["train_loss"][1] == 0.5
    assert "no image yet" in heading(result)


def test_a_text_that_is_too_large_is_not_read(copied: Path) -> None:
    with (copied / "metrics.json").open("wb") as file:
        file.truncate(MOST_TEXT + 1)
    result = read_result(copied, "mine")
    assert result.metrics == {}
    assert "metrics.json: has more than" in result.faults[0]


def test_a_pipe_is_not_opened(copied: Path) -> None:
    (copied / "metrics.json").unlink()
    os.mkfifo(copied / "metrics.json")
    assert "pipe" in read_result(copied, "mine").faults[0]


@pytest.mark.parametrize(
    "tree",
    [
        {"gauge": 3, "verdict": "fits", "scan_problems": 4, "collapse": [], "uncertainty": 1, "reference": [1]},
        {
            "prior": {"prior": 1},
            "resolution": {"other": {}},
            "timings": {"load_s": "long"},
            "reference": {"region": {}},
        },
        {"verdict": {"level": 3, "message": [1]}, "refine": {"deviance_of_iterations": ["x"]}},
    ],
)
def test_metrics_of_any_kind_are_shown_or_refused(copied: Path, tree: object) -> None:
    (copied / "metrics.json").write_text(json.dumps(tree))
    result = read_result(copied, "mine")
    assert heading(result)
    assert warnings(result) is not None
    assert metrics_table(result)


def test_texts_of_files_are_escaped(copied: Path) -> None:
    attack = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    (copied / "metrics.json").write_text(
        json.dumps(
            {"scan_problems": [attack], "verdict": {"level": attack, "message": attack}, "gauge": {"scale": attack}}
        )
    )
    (copied / "run.log").write_text(attack)
    image = Reconstruction.load(copied)
    image.metadata["method"] = attack
    image.save(copied)
    result = read_result(copied, attack)
    for html in (heading(result), metrics_table(result), settings_table(result)):
        assert "<script" not in html
        assert "<img" not in html


def test_results_are_found_in_folders_and_new_ones_appear(finished: Path, tmp_path: Path) -> None:
    assert result_paths(finished) == [finished]
    assert result_paths(tmp_path) == []
    for name in ("b", "runs/a", ".hidden", "checkpoints"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "history.csv").write_text("epoch,train_loss\n1,2\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert result_paths(tmp_path) == [tmp_path / "b", tmp_path / "runs/a"]


def test_the_state_changes_with_the_files(copied: Path) -> None:
    before = state_of(copied)
    (copied / "history.csv").write_text("epoch,train_loss\n1,2\n")
    assert state_of(copied) != before


def test_the_newer_one_of_the_image_so_far_and_the_finished_image_is_shown(copied: Path) -> None:
    image = Reconstruction.load(copied)
    image.save(copied / "live.npz")
    os.utime(copied / "reconstruction.npz", (1, 1))
    assert read_result(copied, "mine").is_live
    os.utime(copied / "live.npz", (0, 0))
    assert not read_result(copied, "mine").is_live


def test_the_course_of_a_solver_that_still_runs_comes_from_its_log(tmp_path: Path) -> None:
    line = "2026-11-30 03:00:02,091 INFO ptychopinn.reconstruction: refined {}/40: deviance per pixel {}\n"
    (tmp_path / "run.log").write_text("".join(line.format(*pair) for pair in [(20, 9), (40, 8), (4, 5.5), (8, 3.25)]))
    assert read_result(tmp_path, "mine").deviance == ((4, 5.5), (8, 3.25))


FIRST_PAGE = """
import sys
from pathlib import Path
from ptychopinn.web.page import Page
from ptychopinn.web.reader import Reader, Source
from ptychopinn.web import server
path = Path(sys.argv[1])
reader = Reader([Source(path, "mine")])
known = reader.known(path, reader.sources[0], "mine")
page = Page(1)
page.show([known.result], [known.maps])
print(known.patterns is not None, len(page.views[0].maps.children) > 0, "torch" in sys.modules)
"""


def test_the_first_page_waits_for_no_torch(finished: Path) -> None:
    """Its import takes 0.9 CPU s, a third of the time in which the page may open."""
    ran = subprocess.run([sys.executable, "-c", FIRST_PAGE, str(finished)], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True", "False"]
