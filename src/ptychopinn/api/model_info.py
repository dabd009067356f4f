"""What is in a trained model: of this version, or of the earlier implementation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np

from ptychopinn.api.model_files import model_of
from ptychopinn.bundle import Bundle, load_bundle
from ptychopinn.bundle.layouts import obstacle
from ptychopinn.config.backend import BACKENDS, Backend
from ptychopinn.errors import BundleError, ConfigError

Target = Literal["pytorch", "tensorflow", "both"]
"""Whose weights a converted model holds."""


@final
@dataclass(frozen=True)
class ModelInfo:
    """Facts about a model file; `rows` puts them into words."""

    source: str
    """The file."""
    kind: str
    """What wrote it."""
    backend: str
    """That trained it."""
    weights_of: tuple[str, ...]
    """Backends whose weights the file holds, the one that runs the model first."""
    models: tuple[str, ...]
    """Names under which clients ask for it."""
    architecture: str
    """Of the network."""
    weights: int
    """Numbers that the network holds."""
    pattern_size_px: int
    """Rows of the patterns."""
    group_size: int
    """Patterns that are merged in training."""
    probe_modes: int
    """Incoherent modes of its probe."""
    probe_photons: float
    """Photons of all modes."""
    probe_stored: bool
    """Whether the file holds the probe of the training."""
    started_from: str | None
    """Trained model whose weights its training began with."""
    mean_count: float
    """Mean photons per pixel of the training patterns."""
    settings: int
    """Entries of the dictionary that travels with the model."""
    version: str
    """Of the package that wrote it."""


def model_info(path: str | Path) -> ModelInfo:
    """Describe a trained model.

    Args:
        path: a bundle, its folder, or an archive or checkpoint of the earlier implementation.

    Raises:
        BundleError: it is damaged, or its weights do not fit its recipe.
    """
    bundle = load_bundle(path)
    trained = model_of(bundle, "pytorch")  # which can hold every network
    fitted = trained.fitted
    return ModelInfo(
        source=str(path),
        kind=_kind(bundle),
        backend=bundle.backend,
        weights_of=bundle.manifest.backends if bundle.origin is None else (bundle.backend,),
        models=bundle.manifest.models,
        architecture=trained.recipe.model.generator.architecture,
        weights=sum(value.numel() for value in trained.network.generator.parameters()),
        pattern_size_px=fitted.pattern_size,
        group_size=trained.recipe.data.group_size,
        probe_modes=len(bundle.probe),
        probe_photons=float(np.square(np.abs(bundle.probe), dtype=np.float64).sum()),
        probe_stored=not fitted.probe_estimated,
        started_from=fitted.started_from,
        mean_count=fitted.mean_count,
        settings=len(bundle.params),
        version=bundle.manifest.package_version,
    )


def rows(facts: ModelInfo) -> list[tuple[str, str]]:
    """Label and text of every line."""
    probe = f"{facts.probe_modes} mode{'s' if facts.probe_modes > 1 else ''}, {facts.probe_photons:.4g} photons"
    return [
        ("file", facts.source),
        ("kind", facts.kind),
        ("written by", facts.version),
        ("trained by", facts.backend),
        ("weights of", ", ".join(facts.weights_of)),
        ("models", ", ".join(facts.models)),
        ("network", f"{facts.architecture}, {facts.weights} weights"),
        ("patterns", f"{facts.pattern_size_px} x {facts.pattern_size_px} px, {facts.mean_count:.4g} photons per pixel"),
        ("group size", str(facts.group_size)),
        *([("training began with", facts.started_from)] if facts.started_from else []),
        ("probe", probe if facts.probe_stored else f"not stored; a stand-in ({probe})"),
        ("settings", f"{facts.settings} entries"),
    ]


def _kind(bundle: Bundle) -> str:
    if bundle.origin is None:
        return f"model of this version, format {bundle.manifest.format_version}"
    return f"{bundle.origin.kind}; `ptychopinn convert` migrates it"


def convertible(path: Path, to: Target | None) -> tuple[Bundle, tuple[Backend, ...]]:
    """A model that is to be written for a backend, and whose weights the new file shall hold, the main one first.

    Raises:
        BundleError: it is one of this version and no backend is named, or damaged, or its weights do not fit its
            settings.
        ConfigError: TensorFlow cannot run the model.
    """
    bundle = load_bundle(path)
    if to is None and bundle.origin is None:
        raise BundleError(
            f"{path}: is a trained model of this version already; copy the file, or give --to with the backend that "
            "it shall be converted to"
        )
    model_of(bundle, "pytorch")
    first: Backend = bundle.manifest.backend
    wanted = (first, *(name for name in BACKENDS if name != first)) if to == "both" else (to or first,)
    reason = obstacle(bundle.recipe.model)
    if "tensorflow" in wanted and reason:
        raise ConfigError(
            f"{path}: the model of the backend pytorch cannot be converted to the backend tensorflow: {reason}"
        )
    return bundle, wanted
