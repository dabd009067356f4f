"""`view --static`: one file that needs neither server nor network."""

import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ptychopinn.cli import app
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.web import write_page


def view(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["view", *map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def test_the_page_is_one_file_that_asks_for_nothing(finished: Path, tmp_path: Path) -> None:
    code, told = view(finished, "--static", tmp_path / "report.html")

    assert code == 0
    assert "page:" in told
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(html) < 30e6
    frame = re.sub(r"(<script[^>]*>).*?</script>", r"\1", html, flags=re.DOTALL)
    assert re.findall(r"<[^>]+(?:src|href)=\"(?!data:)[^\"]*\"", frame) == []
    assert "default-src 'none'" in html.split("<title>")[0].replace("&#39;", "'")
    assert '<html lang="en">' in html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_two_results_stand_beside_each_other(finished: Path, copied: Path, tmp_path: Path) -> None:
    missing = write_page([finished, copied], tmp_path / "both.html", ["first", "second"])
    assert missing == []  # the scan is small enough for all of its patterns
    assert "with second" in (tmp_path / "both.html").read_text(encoding="utf-8")


def test_an_image_whose_scan_is_gone_is_shown_without_patterns(copied: Path, tmp_path: Path) -> None:
    image = Reconstruction.load(copied)
    image.metadata["source"] = "/gone/scan.npz"
    image.save(copied)
    missing = write_page([copied], tmp_path / "one.html", ["mine"])
    assert "give its file by --scan" in missing[0]
    assert "give its file by --scan" in (tmp_path / "one.html").read_text(encoding="utf-8")


def test_no_text_of_a_file_ends_a_script(copied: Path, tmp_path: Path) -> None:
    attack = "</script><script>alert(1)</script>"
    (copied / "metrics.json").write_text(json.dumps({"scan_problems": [attack]}))
    write_page([copied], tmp_path / "one.html", [attack])
    html = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere", "--static", "a.html"], "nowhere: no such file; give a folder of results"),
        ([".", "--static", "a.txt"], "a.txt: must end in .html"),
        ([".", "--static", "no/a.html"], "its folder does not exist; create it first"),
        (["empty", "--static", "a.html"], "empty: holds no result"),
        (["several", "--static", "a.html"], "several: holds 2 results in folders below it"),
        ([*"abcde"], "view shows at most 4 results"),
        (["text.npz", "--static", "a.html"], "text.npz: "),
        (["text.npz", "--no-browser"], "text.npz: "),
        (["several/a", "--static", "a.html", "--port", "5007"], "--port belongs to the server"),
        (["several/a", "--static", "a.html", "--no-browser"], "--no-browser belongs to the server"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.npz").write_text("no image")
    for name in ("empty", "several/a", "several/b"):
        Path(name).mkdir(parents=True)
        if "/" in name:
            (Path(name) / "history.csv").write_text("epoch,train_loss\n1,2\n")
    code, output = view(*words)
    assert code == 2
    assert told in output
    assert not list(tmp_path.glob("*.html"))


def test_without_bokeh_the_error_names_the_pip_line(monkeypatch: pytest.MonkeyPatch, finished: Path) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "bokeh" or name.startswith("ptychopinn.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    code, told = view(finished)
    assert code == 2
    assert "run: pip install 'ptychopinn[web]'" in told
