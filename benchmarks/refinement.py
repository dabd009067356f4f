"""Rows of `quality.py --refinement`: what refinement reaches, by start.

Row 3: the image of a network that was trained on another dose of the sample, refined; the solver alone; and, with
`--iterative`, LSQML of pty-chi. All start from the poor probe. Row 4: the measured star with one and three probe modes.
Row 5: the true and the poor starting probe. Row 6: position errors of 1 px RMS along each axis, with the poor probe.
Row 5 has lines with the edge-preserving penalty; rows 5 and 6 have lines with that and the single-material penalty. The
seed decides the order of the patterns, the network of row 3 and the errors of row 6.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ptychopinn
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.studies.iterative import solve_with_ptychi

FEW = (10, 20)
"""Iterations of the short runs of row 3."""
NETWORK = ("training.epochs=12", "training.threads=1")
"""The default recipe's network, trained briefly."""
POSITIONS, DISTORTION = "reconstruction.refine.positions=true", "reconstruction.refine.positions_distortion=true"
EDGES = ("reconstruction.refine.edge_preserving=0.03", "reconstruction.refine.smoothness=30")
QUICK = "reconstruction.refine.momentum=0.95"
"""Faster. Not used with refined positions, which lag behind the object, nor with the single-material penalty."""
MATERIAL = ("reconstruction.refine.single_material=600", *EDGES)
LONGER = 1.6
"""Iterations with the single-material penalty, relative to the other lines: its phase converges more slowly."""
SIMULATED = ("synth_dev_1e6", "synth_dev_1e4")


@dataclass(frozen=True)
class Case:
    """One image to make."""

    scan: str
    """Name of its file."""
    row: str
    make: Callable[[], Reconstructed | Reconstruction]
    truth_px: NDArray[np.float64] | None = None
    """(N, 2): the true positions, where the residual position error is measured."""

    def values(self, score: Callable[[Reconstruction], dict[str, Any]]) -> dict[str, Any]:
        """Scores, misfit where there is one, CPU seconds of the making, and errors of positions."""
        before = time.process_time()
        made = self.make()
        values: dict[str, Any] = {"cpu_s": time.process_time() - before}
        image = made if isinstance(made, Reconstruction) else made.reconstruction
        if isinstance(made, Reconstructed):
            values |= made.metrics["data"]
        if self.truth_px is not None:
            values["residual_position_error_px"] = rms_of_error(image.positions_px, self.truth_px)
        return values | score(image)


@dataclass(frozen=True)
class Start:
    """What the rows of one seed share."""

    data: Path
    """The folder of the scans."""
    output: Path
    """Where the network of row 3 is kept."""
    iterations: int
    overrides: Sequence[str]
    seed: int
    ptychi_epochs: int | None = None

    def scan(self, name: str, probe: str = "probeGuess") -> Scan:
        """A scan with one of the probes of its file."""
        path = self.data / f"{name}.npz"
        with np.load(path) as file:
            modes = file[probe].reshape(-1, *file[probe].shape[-2:])
        return replace(ptychopinn.read_scan(path), probe=np.ascontiguousarray(modes))

    def solved(self, scan: Scan, *overrides: str, longer: float = 1) -> Reconstructed:
        """The solver alone, from an object of 1."""
        every = [*self.overrides, *overrides, f"reconstruction.refine.seed={self.seed}"]
        return ptychopinn.reconstruct(scan, None, refine=round(longer * self.iterations), overrides=every)

    def single_material(self, scan: Scan, *overrides: str) -> Reconstructed:
        """The same, with the single-material penalty."""
        return self.solved(scan, *overrides, *MATERIAL, longer=LONGER)

    def network(self) -> Path:
        """A network that was trained on the low dose."""
        folder = self.output / f"network_seed{self.seed}"
        if not (folder / "wts.h5.zip").exists():
            scan = self.scan("synth_dev_1e4", "probeInitial")
            ptychopinn.train(
                scan, folder, overwrite=True, overrides=[*NETWORK, *self.overrides, f"training.seed={self.seed}"]
            )
        return folder / "wts.h5.zip"

    def refined(self, scan: Scan, iterations: int) -> Reconstructed:
        """That network's image after some iterations."""
        seed = f"reconstruction.refine.seed={self.seed}"
        return ptychopinn.reconstruct(scan, self.network(), refine=iterations, overrides=[seed])


def after_a_network(start: Start) -> Iterator[Case]:
    """Row 3."""
    name = "synth_dev_1e6"
    scan = start.scan(name, "probeInitial")
    start.network()
    for iterations in (0, *FEW, start.iterations):
        yield Case(name, f"3: a network, {iterations} iterations", partial(start.refined, scan, iterations))
    yield Case(name, f"3: no network, {start.iterations} iterations", partial(start.solved, scan))
    if start.ptychi_epochs:
        solve = partial(solve_with_ptychi, scan, scan.probe, epochs=start.ptychi_epochs, seed=start.seed)
        yield Case(
            name, f"3: LSQML of pty-chi (momentum), {start.ptychi_epochs} epochs", partial(solve, fit_probe=True)
        )


def measured_star(start: Start) -> Iterator[Case]:
    """Row 4."""
    scan = start.scan("siemens64")
    for modes, what in ((1, "one mode"), (3, "three modes")):
        yield Case("siemens64", f"4: {what}", partial(start.solved, scan, f"model.probe.modes={modes}"))


def start_probes(start: Start) -> Iterator[Case]:
    """Row 5."""
    for name in SIMULATED:
        for probe, what in (("probeGuess", "the true probe"), ("probeInitial", "the poor probe")):
            scan = start.scan(name, probe)
            yield Case(name, f"5: {what}", partial(start.solved, scan))
            yield Case(name, f"5: {what}, edge-preserving", partial(start.solved, scan, *EDGES, QUICK))
            yield Case(name, f"5: {what}, edge-preserving, single-material", partial(start.single_material, scan))


def wrong_positions(start: Start) -> Iterator[Case]:
    """Row 6."""
    for name in SIMULATED:
        scan = start.scan(name, "probeInitial")
        truth = scan.positions_px
        errors = np.random.default_rng(start.seed).normal(size=truth.shape)
        wrong = replace(scan, positions_px=truth + errors)
        yield Case(name, "6: true positions, not refined", partial(start.solved, scan), truth)
        yield Case(name, "6: wrong positions, not refined", partial(start.solved, wrong), truth)
        yield Case(name, "6: wrong positions, refined", partial(start.solved, wrong, POSITIONS), truth)
        yield Case(
            name,
            "6: wrong positions, refined with distortion",
            partial(start.solved, wrong, POSITIONS, DISTORTION),
            truth,
        )
        single = partial(start.single_material, wrong, POSITIONS, DISTORTION)
        yield Case(name, "6: wrong positions, refined with distortion, edge-preserving, single-material", single, truth)


ROWS: dict[str, Callable[[Start], Iterator[Case]]] = {
    "3": after_a_network,
    "4": measured_star,
    "5": start_probes,
    "6": wrong_positions,
}


def rms_of_error(positions_px: NDArray[np.float64], truth_px: NDArray[np.float64]) -> float:
    """Root mean square along an axis, px, less the common shift."""
    error = positions_px - truth_px
    return float(np.sqrt(np.square(error - error.mean(0)).mean()))
