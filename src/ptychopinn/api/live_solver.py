"""The solver that goes on while a scan arrives: in a thread of its own, on the frames that are there."""

import logging
import threading
import time
from dataclasses import replace
from typing import Any, final

import numpy as np

from ptychopinn.config import RefineConfig
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import DiffractionModel
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.solver import refine, unlogged

logger = logging.getLogger("ptychopinn")

ROUND = 3
"""Iterations on the frames of one moment, with steps of full length: slow phase moves from the second one on."""
AFTER_LAST = 5
"""Rounds without a new frame, after which the solver waits."""
FINAL_ITERATIONS = 30
"""At the end, where the recipe asks for none: steps become shorter, which an image that goes on never has."""
KNOWN = 0.1
"""Coverage, relative to its maximum, from which the solver's object is kept when frames are added."""


class _Stopped(Exception):
    """Ends a round between two iterations."""


@final
class LiveSolver:
    """Refines what has arrived, again and again, each time from where it was.

    The object of the network, where frames are new, gets the phase and the scale of the solver's object beside it.

    Args:
        config: of the recipe. Probe and object are refined; what needs a whole run of the solver waits for the end.
    """

    def __init__(self, config: RefineConfig) -> None:
        given: dict[str, Any] = {"background": "given", "blur": "given", "intensities": "given", "probe_modes": "given"}
        self._config = config.changed(iterations=ROUND, decay=0.0, positions=False, probe_relaxation=0, **given)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._image: Reconstruction | None = None
        self._last = (0, 0)
        """Frames of the last round, and rounds on so many frames."""
        self.rounds = 0
        self.seconds = 0.0
        self.failed: str | None = None
        """Why the solver has stopped before the end, where it has."""

    def is_due(self, frames: int) -> bool:
        """Whether a round can begin: none is running, and there is something to gain."""
        is_idle = self.failed is None and (self._thread is None or not self._thread.is_alive())
        return frames > 0 and is_idle and (frames != self._last[0] or self._last[1] < AFTER_LAST)

    def begin(self, reconstructor: Reconstructor, image: Reconstruction) -> None:
        """Begin a round.

        Args:
            reconstructor: of the frames that are there.
            image: of the network, of the same frames.
        """
        frames = len(reconstructor.tensors)
        self._last = frames, self._last[1] + 1 if frames == self._last[0] else 1
        self._thread = threading.Thread(target=self._round, args=(reconstructor, self.image(image)), daemon=True)
        self._thread.start()

    def image(self, network: Reconstruction) -> Reconstruction:
        """The image so far: the solver's where it has one, and that of the network elsewhere."""
        solved = self._image
        if solved is None:
            return network
        frame = ((int(network.origin_px[0]), int(network.origin_px[1])), network.object_.shape)
        object_, coverage = solved.in_frame(*frame)
        is_known = coverage >= KNOWN
        both = (object_[is_known] * network.object_[is_known].conj()).sum(dtype=np.complex128)
        power = np.square(np.abs(network.object_[is_known]), dtype=np.float64).sum()
        factor = np.complex64(both / power) if power > 0 else np.complex64(1)
        fresh = np.where(network.covered, network.object_ * factor, network.object_)
        return replace(network, object_=np.where(is_known, object_, fresh), probe=solved.probe)

    def stop(self) -> None:
        """End the round that is running, after its present iteration; what it reached is left out."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def report(self) -> dict[str, Any]:
        """Rounds, iterations, and their time, s; `failed` where an error stopped the solver."""
        numbers = {"rounds": self.rounds, "iterations": ROUND * self.rounds, "seconds": self.seconds}
        return numbers if self.failed is None else {**numbers, "failed": self.failed}

    def _round(self, reconstructor: Reconstructor, start: Reconstruction) -> None:
        def on_iteration(*_: Any) -> None:
            if self._stopping.is_set():
                raise _Stopped

        started = time.perf_counter()
        try:
            with unlogged():
                self._image = refine(
                    start,
                    reconstructor.tensors,
                    self._config,
                    model=DiffractionModel.of(reconstructor.trained.recipe.model),
                    gauge=reconstructor.gauge,
                    min_coverage=reconstructor.trained.recipe.reconstruction.min_coverage,
                    on_iteration=on_iteration,
                ).reconstruction
            self.rounds += 1
        except _Stopped:
            return
        except PtychoPINNError as error:
            logger.warning("the solver begins again with the image of the network: %s", error)
            self._image = None
        except Exception as error:  # it ends in this thread: the scan goes on without the solver
            self.failed = f"{type(error).__name__}: {error}"
            logger.exception("the solver stops, and the scan goes on without it")
        finally:
            self.seconds += time.perf_counter() - started
