"""docs/commands.md is true: its commands run, its settings file is valid, its flags exist."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

import ptychopinn
from ptycho import params
from ptycho.commands import evaluate, inference, train
from ptycho.commands.settings import training_settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS = {"ptycho_train": train, "ptycho_inference": inference, "ptycho_evaluate": evaluate}
QUICK = ["--nepochs", "1", "--n_filters_scale", "1"]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(found)


def test_its_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PTYCHOPINN_BACKEND", raising=False)
    monkeypatch.setattr(params, "cfg", dict(params.DEFAULT_CFG))
    overrides = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=4"]
    ptychopinn.simulate("scan.npz", overrides=overrides)

    lines = [shlex.split(line) for line in block("sh").splitlines()]
    assert [line[0] for line in lines] == list(COMMANDS)
    for name, *words in lines:
        assert COMMANDS[name].main(words + (QUICK if name == "ptycho_train" else [])) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"scan.npz", "out", "recon", "scores"}
    assert Path("recon/reconstruction.png").is_file()


def test_its_settings_file_is_valid() -> None:
    config, execution = training_settings(train.OPTIONS.from_mapping(yaml.safe_load(block("yaml")), "commands.md"))

    assert (config.nepochs, config.nphotons, config.model.gridsize, execution.accelerator) == (40, 1e6, 1, "cpu")


@pytest.mark.parametrize("command", COMMANDS)
def test_flags_that_it_names_exist(command: str) -> None:
    section = TEXT[TEXT.index(f"## `{command}`") :].split("\n## ")[0]
    flags = set(re.findall(r"`--([a-zA-Z_-]*[a-zA-Z])[`= ]", section))

    assert flags
    for flag in flags:
        assert COMMANDS[command].OPTIONS.knows(flag), flag
