"""What the figure of an image states beside it: file, method, date, verdict, and three of its patterns."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptychopinn.api.fit import FitQuality
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import METHOD, VERDICT, Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.metrics.verdict import Verdict
from ptychopinn.physics import DiffractionModel
from ptychopinn.plotting import Added, Bars, PatternFit, ReportContent, best_median_worst, figure_reconstruction
from ptychopinn.solver import photons_in_batches

NETWORK = "network"
"""First word of the method of an image that began with a network."""
LONGEST = 60
"""Letters of a file name in a title."""


def title_of(image: Reconstruction, what: str = "Reconstruction") -> str:
    """A title that names the file of the scan.

    >>> title_of(Reconstruction(np.ones((2, 2)), np.ones((2, 2)), (0, 0), np.zeros((1, 2)), np.ones((1, 2, 2))))
    'Reconstruction'
    """
    source = str(image.metadata.get("source", "memory"))
    name = Path(source).name
    if not Path(source).suffix:  # a scan that was simulated, or built in memory
        return what
    return f"{what} of {name if len(name) <= LONGEST else f'{name[: LONGEST - 1]}…'}"


def today() -> str:
    """Date and time as figures state them, in the time zone of the machine."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")


def with_verdict(image: Reconstruction, verdict: Verdict) -> Reconstruction:
    """The image with its verdict among its metadata, from which `evaluate` shows it again."""
    return replace(image, metadata={**image.metadata, VERDICT: {"level": verdict.level, "message": verdict.message}})


def is_of_network(image: Reconstruction) -> bool:
    """Whether a network made the image, or what the solver began with."""
    return str(image.metadata.get(METHOD, "")).startswith(NETWORK)


def content_of_image(image: Reconstruction) -> ReportContent:
    """What the metadata of an image hold: method, verdict, iterations; with the date of today."""
    known: dict[str, Any] = image.metadata.get(VERDICT) or {}
    refined: dict[str, Any] = image.metadata.get("refine") or {}
    return ReportContent(
        method=str(image.metadata.get(METHOD, "")),
        date=today(),
        level=known.get("level"),
        message=str(known.get("message", "")),
        deviance=refined.get("deviance_of_iterations", ()),
        added=_added(image),
        bars=_bars(image),
    )


def figure_of_image(image: Reconstruction) -> Any:
    """The figure of an image with what its metadata hold; what `Reconstruction.plot` returns."""
    return figure_reconstruction(image, title=title_of(image), content=content_of_image(image))


def _added(image: Reconstruction) -> Added | None:
    if image.prior_correction is None:
        return None
    known: dict[str, Any] = image.metadata.get("prior") or {}
    return Added(image.prior_correction, image.coverage, float(known.get("moved_rms_sigma", np.nan)))


def _bars(image: Reconstruction) -> Bars | None:
    if image.amplitude_error is None or image.phase_error is None:
        return None
    known: dict[str, Any] = image.metadata.get("uncertainty") or {}
    return Bars(image.amplitude_error, image.phase_error, bool(known.get("valid", False)))


def content_of_fit(
    image: Reconstruction, tensors: ScanTensors, model: DiffractionModel, fit: FitQuality
) -> ReportContent:
    """The same with the misfit over the scan, and measured and modelled photons of three patterns."""
    content = content_of_image(image)
    verdict = fit.verdict
    return replace(
        content,
        level=verdict.level,
        message=verdict.message,
        ratio=fit.ratio,
        patterns=_patterns(image, tensors, model, fit),
    )


def _patterns(
    image: Reconstruction, tensors: ScanTensors, model: DiffractionModel, fit: FitQuality
) -> Sequence[PatternFit]:
    chosen = [(label, number, float(fit.ratio[number])) for label, number in best_median_worst(fit.ratio)]
    return pattern_fits(image, tensors.scan, model, chosen, tensors.device)


def pattern_fits(
    image: Reconstruction,
    scan: Scan,
    model: DiffractionModel,
    chosen: Sequence[tuple[str, int, float]],
    device: torch.device | str = "cpu",
) -> list[PatternFit]:
    """Some patterns of a scan beside what its image predicts for them; no other pattern is read.

    Args:
        image: of the scan, one position for each pattern.
        scan: what was measured.
        model: of the patterns.
        chosen: a label, the number in the scan, and the deviance over what the counts allow, for each.
        device: where they are computed.
    """
    if not chosen:
        return []
    index = np.array([number for _, number, _ in chosen])
    few = ScanTensors(scan.select(index), device)
    part = image.at_positions(index)
    photons = [one for _, batch in photons_in_batches(part, few, model) for one in batch.cpu().numpy()]
    measured = few.counts_of(slice(None)).cpu().numpy()
    seen = few.measured_of(slice(None))
    valid = None if seen is None else np.broadcast_to(seen.cpu().numpy(), measured.shape)
    return [
        PatternFit(label, number, ratio, measured[row], photons[row], None if valid is None else valid[row])
        for row, (label, number, ratio) in enumerate(chosen)
    ]
