"""The command explains itself, quickly."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.cli import app

VERBS = ["doctor", "init", "recipe", "info", "check", "run", "train", "reconstruct", "evaluate", "simulate"]
VERBS += ["convert", "export", "campaign", "watch", "view", "train-prior"]


def test_the_command_alone_names_every_verb(ptycho: Callable) -> None:
    outcome = ptycho()

    for verb in VERBS:
        assert f" {verb} " in outcome.out
    assert outcome.code == 0
    assert "ptychopinn run scan.npz -o out/" in " ".join(outcome.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(ptycho: Callable, verb: str) -> None:
    outcome = ptycho(verb, "--help")

    assert outcome.code == 0
    assert f"Example: ptychopinn {verb} " in " ".join(outcome.out.split())


def test_version(ptycho: Callable) -> None:
    assert ptycho("--version").out == f"ptychopinn {ptychopinn.__version__}\n"


def test_help_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ptychopinn.cli import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "print(*sorted({'torch', 'lightning', 'matplotlib', 'scipy'} & set(sys.modules)))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""


def test_unknown_verb_is_refused(ptycho: Callable) -> None:
    outcome = ptycho("reconstrukt", "scan.npz")

    assert outcome.code == 2
    assert "No such command" in outcome.err


def pages() -> Iterator[tuple[str, str]]:
    """Every command, groups included, with its help on 80 columns."""

    def visit(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*words, "--help"])
        yield " ".join(words), result.stdout
        for name, inner in getattr(command, "commands", {}).items():
            yield from visit(inner, (*words, name))

    yield from visit(typer.main.get_command(app), ())


def test_help_has_no_types_of_the_program_and_fits_80_columns() -> None:
    shown = dict(pages())

    assert {"", "run", "study dose", "recipe", "init"} <= set(shown)
    for name, text in shown.items():
        assert not re.search(r"(?i)list\[|<(bool|path|str|int|float|file)>|Pathlib", text), name
        assert max(len(line) for line in text.splitlines()) <= 80, name


def test_options_stand_in_their_groups(ptycho: Callable) -> None:
    text = ptycho("convert", "--help").out
    titles = re.findall(r"^(\S.*):$", text, flags=re.MULTILINE)

    assert titles == [
        "Arguments",
        "Options",
        "A scan from patterns and positions",
        "The patterns of a scan",
        "How the scan is read",
    ]
    assert text.index("How the scan is read") < text.index("--fftshift")


def test_study_alone_names_its_studies(ptycho: Callable) -> None:
    outcome = ptycho("study")

    assert outcome.code == 0
    assert "  grid-lines " in outcome.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ptychopinn", "run", "scan.npz", "--config", "few"], ["few_photons"]),
        (["ptychopinn", "train", "scan.npz", "--set", "training.see"], ["training.seed="]),
        (["ptychopinn", "rec"], ["recipe", "reconstruct"]),
        (["ptychopinn", "run", "--dom"], ["--domain"]),
    ],
)
def test_a_shell_completes_commands_options_recipes_and_settings(words: list[str], expected: list[str]) -> None:
    asked = {
        "_PTYCHOPINN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'ptychopinn'; from ptychopinn.cli import main; main()"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)

    assert done.stdout.split() == expected, done.stderr


@pytest.mark.parametrize("made", ["scan", "damaged"])
def test_info_of_a_scan_loads_no_torch(made: str, tmp_path: Path) -> None:
    """Torch takes 1.5 CPU s to load, of the 2 s that `info` may take."""
    if made == "damaged":
        (tmp_path / "scan.npz").write_bytes(b"no scan")  # a refusal needs none either
    else:
        overrides = ["simulation.object_size_px=64", "simulation.probe_size_px=32"]
        ptychopinn.simulate(tmp_path / "scan.npz", overrides=overrides)
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ptychopinn.cli import app\n"
        "print(CliRunner().invoke(app, ['info', sys.argv[1]]).exit_code)\n"
        "print(*sorted({'torch', 'lightning', 'matplotlib'} & set(sys.modules)))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "scan.npz")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0" if made == "scan" else "2"]


def cpu_seconds(*words: str) -> float:
    """Of a command in a process of its own."""
    code = "import sys; from ptychopinn.cli import main; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_little_time() -> None:
    assert min(cpu_seconds("--help") for _ in range(3)) < 0.5  # 0.2 s on a quiet machine


def test_info_takes_less_than_two_seconds(tmp_path: Path) -> None:
    ptychopinn.simulate(tmp_path / "scan.npz", overrides=["simulation.object_size_px=96"])
    assert min(cpu_seconds("info", str(tmp_path / "scan.npz")) for _ in range(3)) < 2  # 0.8 s on a quiet machine
