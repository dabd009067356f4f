"""What is done with every scan of a campaign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, final

from ptychopinn.api.inputs import RecipeSource, ScanFiles, ScanSource, as_recipe, given_backend, stated_recipe
from ptychopinn.api.model_files import BUNDLE_NAME, load_model
from ptychopinn.api.open_settings import leaves, with_open_settings
from ptychopinn.api.prior_use import prior_of
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.run import run
from ptychopinn.api.solve import DEFAULT_ITERATIONS
from ptychopinn.data.io import read_probe
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.reconstruction import ProbeChoice
from ptychopinn.solver import IterationHook, check_names

_NO_RESULT = ("device", "threads")
"""Settings of a training that decide where and how fast it runs."""


@final
@dataclass(frozen=True)
class Settings:
    """The arguments of `reconstruct` or `run` that all scans share, as plain JSON values."""

    recipe: Mapping[str, Any] | None = None
    """Settings that the recipe states; None for none."""
    overrides: tuple[str, ...] = ()
    model: str | None = None
    """Bundle, or its folder; without it the solver makes the images."""
    refine: int | None = None
    """Iterations of the solver."""
    train: bool = False
    """Train a network on each scan, as `run` does."""
    probe: ProbeChoice = "auto"
    probe_file: str | None = None
    """File with the probe of all scans."""
    device: str = "auto"

    @classmethod
    def of(cls, recipe: RecipeSource, overrides: Sequence[str], **others: Any) -> Self:
        """Settings with a recipe of any source; nothing is done yet with the files that they name."""
        stated = None if recipe is None else stated_recipe(recipe).model_dump(mode="json", exclude_unset=True)
        for name in ("model", "probe_file"):
            if others.get(name) is not None:
                others[name] = str(Path(others[name]).resolve())
        return cls(stated, tuple(overrides), **others)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made of other settings, also by way of JSON."""
        return cls(**{**tree, "overrides": tuple(tree["overrides"])})

    def on(self, device: str) -> "Settings":
        """The same on another device."""
        return replace(self, device=device)

    def check(self) -> None:
        """Refuse what would fail for every scan.

        Raises:
            PtychoPINNError: settings that exclude each other, a bad recipe, model or probe.
        """
        if self.train and (self.model is not None or self.refine is not None):
            raise ConfigError("train makes a model for each scan; leave out model and refine, or train")
        if self.train and self.probe != "auto" and self.probe_file is None:
            raise ConfigError(f"probe must be 'auto' or a file with train, got {self.probe!r}")
        if self.model is None and self.probe == "model":
            raise ConfigError("probe must be 'auto', 'scan' or a file without a model, got 'model'; give a model")
        recipe = as_recipe(self.recipe, self.overrides)
        if self.model is not None:
            given = given_backend(self.overrides)
            others = [text for text in self.overrides if given_backend([text]) is None]
            recipe = with_open_settings(load_model(self.model, given).recipe, self.recipe, others)
        if self.refine == 0 and self.model is None:
            raise ConfigError("refine must be at least 1 without a model, got 0; give iterations, or a model")
        iterations = recipe.reconstruction.refine.iterations if self.refine is None else self.refine
        if self.model is None:
            iterations = iterations or DEFAULT_ITERATIONS
        recipe = recipe.with_overrides([f"reconstruction.refine.iterations={iterations}"])
        check_names(recipe.reconstruction.refine)
        prior_of(recipe)
        if self.probe_file is not None:
            read_probe(self.probe_file)

    def statement(self) -> dict[str, Any]:
        """All that decides the results, as plain JSON values."""
        recipe = as_recipe(self.recipe, self.overrides).model_dump(mode="json")
        recipe["training"] = {key: value for key, value in recipe["training"].items() if key not in _NO_RESULT}
        return {
            **leaves(recipe),
            "model": None if self.model is None else _digest(_bundle(Path(self.model))),
            "refine": self.refine,
            "train": self.train,
            "probe": self.probe,
            "probe file": None if self.probe_file is None else _digest(Path(self.probe_file)),
        }

    def reconstruct(self, scan: Path, folder: Path, on_iteration: IterationHook | None = None) -> dict[str, Any]:
        """Reconstruct a scan into a folder as the single command does; returns what `metrics.json` holds.

        What an earlier worker has finished there is used again.

        Raises:
            PtychoPINNError: the scan cannot be reconstructed.
            KeyboardInterrupt: the folder holds what another call goes on from.
        """
        source: ScanSource = scan if self.probe_file is None else ScanFiles(scan, Path(self.probe_file))
        if self.train:
            on = [] if self.device == "auto" else [f"training.device={self.device}"]
            overrides = [*self.overrides, *on]
            made = run(source, folder, self.recipe, overrides=overrides, resume=True, on_iteration=on_iteration)
            return made.reconstructed.metrics
        return reconstruct(
            source,
            self.model,
            folder,
            refine=self.refine,
            recipe=self.recipe,
            overrides=self.overrides,
            probe=self.probe,
            device=self.device,
            resume=True,
            on_iteration=on_iteration,
        ).metrics


def _bundle(path: Path) -> Path:
    return path / BUNDLE_NAME if path.is_dir() else path


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror}); give a file that you may read") from None
    return digest.hexdigest()
