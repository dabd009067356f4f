"""`ptychopinn study generalisation` as a person runs it."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.cli.app import Commands
from ptychopinn.cli.study import study
from ptychopinn.errors import ConfigError


@pytest.fixture(scope="module")
def command() -> typer.Typer:
    """A command line that has nothing but this verb."""
    app = typer.Typer(cls=Commands, rich_markup_mode="markdown")
    app.callback()(lambda: None)
    app.add_typer(study)
    return app


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    small = ["object_size_px=52", "probe_size_px=16", "step_px=4"]
    ptychopinn.simulate(path, overrides=[f"simulation.{setting}" for setting in small])
    return path


def test_study_ends_with_its_table_and_picture(command: typer.Typer, scan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("model: {generator: {width: 2, levels: 2}}\ndata: {group_size: 4}\n")
    words = ["study", "generalisation", scan_file, "--test", scan_file, "-o", tmp_path / "out", "--sizes", "8,12"]
    words += ["--trials", "1", "--config", tmp_path / "tiny.yaml", "--set", "training.epochs=1", "--threads", "1"]
    outcome = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.stderr
    assert "| tiny | 12 | 1 |" in outcome.stdout
    assert f"figure: {tmp_path / 'out' / 'generalisation.png'}" in outcome.stdout
    assert "study 2/2  tiny, 12 patterns, seed 0" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "8,many"], "whole numbers between commas"),
        (["--sizes", "8", "--region", "1,2"], "--region"),
        (["--sizes", "8", "--config", "a/x.yaml", "--config", "b/x.yaml"], "same name"),
        (["--sizes", "4000"], "sizes are [4000]"),
    ],
)
def test_mistakes_end_with_one_sentence(
    command: typer.Typer, scan_file: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    start = ["study", "generalisation", str(scan_file), "--test", str(scan_file), "-o", str(tmp_path / "out")]
    outcome = CliRunner().invoke(command, [*start, *words])
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("Error: ")
    assert message in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_an_example(command: typer.Typer) -> None:
    outcome = CliRunner().invoke(command, ["study", "generalisation", "--help"])
    assert "Example: ptychopinn study generalisation " in " ".join(outcome.stdout.split())


def test_errors_are_our_own() -> None:
    from ptychopinn.cli.study import parse_sizes

    with pytest.raises(ConfigError):
        parse_sizes("")
