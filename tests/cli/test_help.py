"""The command explains itself, quickly."""

import subprocess
import sys
from collections.abc import Callable

import pytest

import ptychopinn

VERBS = ["info", "run", "train", "reconstruct", "evaluate", "simulate", "convert", "campaign", "watch", "train-prior"]


def test_the_command_alone_names_every_verb(ptycho: Callable) -> None:
    outcome = ptycho()

    for verb in VERBS:
        assert f" {verb} " in outcome.out
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
