"""The image of a scan that is being measured: pieces are joined by frame number, predicted and stitched at once."""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.checks import check_extent, checked_positions
from ptychopinn.data.device import choose_device
from ptychopinn.data.io.pieces import Piece
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Domain, Scan
from ptychopinn.errors import ScanError
from ptychopinn.models import TrainedModel
from ptychopinn.reconstruction.reconstructor import Reconstructor
from ptychopinn.reconstruction.stitch import ScanStitcher

logger = logging.getLogger("ptychopinn.reconstruction")


@final
@dataclass
class Joined:
    """Patterns and positions by frame number; each frame is taken once, when both are there."""

    repeated: int = 0
    """Patterns or positions that came again, and were left out."""
    conflicting: int = 0
    """Those of them that differed from the first ones."""
    late: int = 0
    """Frames that were complete only after one of a higher number."""
    dark: int = 0
    """Frames without a count, which are left out."""
    _patterns: dict[int, NDArray[Any]] = field(default_factory=dict)
    _positions: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    _arrived_s: dict[int, float] = field(default_factory=dict)
    """When the second half of a frame came that is not taken yet."""
    _highest: int = -1

    def add(self, piece: Piece, arrived_s: float) -> None:
        """Add a piece that came at a time of `time.perf_counter()`, s.

        Raises:
            ScanError: its patterns have another size than earlier ones; nothing was added.
        """
        known = next(iter(self._patterns.values()), None)
        if known is not None and piece.patterns is not None and piece.patterns.shape[1:] != known.shape:
            raise ScanError(
                f"a piece has patterns of {piece.patterns.shape[1:]} px where earlier ones have {known.shape}; all "
                "must have one size"
            )
        for values, kept in ((piece.patterns, self._patterns), (piece.positions_px, self._positions)):
            if values is not None:
                self._keep(piece.frames.tolist(), values, kept, arrived_s)

    def take(self) -> tuple[list[int], list[float]]:
        """The complete frames that were not taken before, by number, and when each became complete, s."""
        numbers = sorted(self._arrived_s)
        arrived = [self._arrived_s.pop(number) for number in numbers]
        return numbers, arrived

    def of(self, numbers: list[int]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Patterns (n, H, H) and positions (n, 2) of complete frames."""
        return np.stack([self._patterns[n] for n in numbers]), np.stack([self._positions[n] for n in numbers])

    @property
    def without_position(self) -> int:
        """Frames whose pattern is there and whose position is missing."""
        return len(self._patterns.keys() - self._positions.keys())

    @property
    def without_pattern(self) -> int:
        """Frames whose position is there and whose pattern is missing."""
        return len(self._positions.keys() - self._patterns.keys())

    def _keep(self, numbers: list[int], values: NDArray[Any], kept: dict[int, NDArray[Any]], arrived_s: float) -> None:
        for number, value in zip(numbers, values, strict=True):
            if number in kept:
                self.repeated += 1
                self.conflicting += not np.array_equal(kept[number], value)
                continue
            kept[number] = value
            if number in self._patterns and number in self._positions:
                self.late += number < self._highest
                self._highest = max(self._highest, number)
                if self._patterns[number].any():
                    self._arrived_s[number] = arrived_s
                else:
                    self.dark += 1


@final
class LiveImage:
    """A canvas that grows with the scan.

    The image is that of `Reconstructor.image` with the probe of the model, in which the order of additions differs.

    Args:
        trained: its network encodes patterns alone, and its probe is used.
        domain: of the patterns.
        device: `auto`, `cpu`, `cuda`, ...
    """

    def __init__(self, trained: TrainedModel, domain: Domain, device: str = "auto") -> None:
        self.joined = Joined()
        self.latencies_s: list[float] = []
        """From the arrival of the second half of each placed frame to its place on the canvas."""
        self._device = choose_device(device)
        self._trained = replace(trained, network=trained.network_on(self._device))
        self._domain: Domain = domain
        self._placed: list[int] = []
        self._corners: list[NDArray[np.float64]] = []
        self._stitcher: ScanStitcher | None = None
        self._is_torn = False
        """Whether Ctrl-C came while frames were placed, so that the canvas may lack some of them."""
        self._first_s: float | None = None
        self._last_s = 0.0

    def __len__(self) -> int:
        return len(self._placed)

    def add(self, piece: Piece, arrived_s: float | None = None) -> None:
        """Take a piece, in any order; what is there already is left out.

        Raises:
            ScanError: patterns of another size than earlier ones.
        """
        arrived_s = time.perf_counter() if arrived_s is None else arrived_s
        self._first_s = arrived_s if self._first_s is None else self._first_s
        self.joined.add(piece, arrived_s)

    def place(self) -> int:
        """Predict and place the frames that are complete; returns their number.

        Raises:
            BundleError: the patterns have another size than those of the training.
            ConfigError: the network solves for a whole scan at once.
            ScanError: positions that are far too wide.
        """
        numbers, arrived = self.joined.take()
        if not numbers:
            return 0
        reconstructor = self._reconstructor(numbers)
        scan = reconstructor.tensors.scan
        positions = scan.positions_px
        self._corners = [positions.min(axis=0), positions.max(axis=0), *self._corners]
        self._corners = [np.min(self._corners, axis=0), np.max(self._corners, axis=0)]
        check_extent(np.stack(self._corners), (len(self) + len(scan), *scan.patterns.shape[1:]), "pieces")
        if self._stitcher is None:
            config = self._trained.recipe.reconstruction
            self._stitcher = ScanStitcher(scan, config, self._device)
        self._stitcher.cover(positions)
        self._placed += numbers
        self._is_torn = True
        reconstructor.add_to(self._stitcher)
        self._is_torn = False
        self._last_s = time.perf_counter()
        self.latencies_s += [self._last_s - one for one in arrived]
        return len(numbers)

    def reconstructor(self) -> Reconstructor:
        """The network made ready for all frames placed so far, in the order of their numbers.

        Raises:
            ScanError: no frame was placed, or the patterns are none of a scan.
        """
        if not self._placed:
            raise ScanError("no frame has both a pattern and a position yet; check that their frame numbers agree")
        return self._reconstructor(sorted(self._placed), checked=True)

    def image(self, reconstructor: Reconstructor) -> Reconstruction:
        """The image of what was placed, by the rules of every image.

        Args:
            reconstructor: what `reconstructor` returns.
        """
        if self._stitcher is None or self._is_torn:
            return reconstructor.image()[0]
        return reconstructor.image_of(self._stitcher)

    def report(self) -> dict[str, Any]:
        """Counts of frames; latencies of placed frames, s; placed frames per second from the first arrival on."""
        seconds = self._last_s - (self._first_s or 0.0)
        known = (
            {}
            if not self.latencies_s
            else {
                f"latency_{name}_s": float(np.percentile(self.latencies_s, part))
                for name, part in (("median", 50), ("p99", 99), ("largest", 100))
            }
        )
        joined = self.joined
        return {
            "placed": len(self),
            "repeated": joined.repeated,
            "conflicting": joined.conflicting,
            "late": joined.late,
            "dark": joined.dark,
            "without_position": joined.without_position,
            "without_pattern": joined.without_pattern,
            **known,
            "frames_per_s": len(self) / seconds if self.latencies_s and seconds > 0 else 0.0,
        }

    def _reconstructor(self, numbers: list[int], *, checked: bool = False) -> Reconstructor:
        patterns, positions = self.joined.of(numbers)
        probe = self._trained.network.probe.detach().cpu().numpy()
        make = Scan.create if checked else Scan
        positions = checked_positions(positions, len(positions), "positions", "pieces")
        scan = make(patterns=patterns, domain=self._domain, positions_px=positions, probe=probe, source="pieces")
        return Reconstructor.for_scan(self._trained, scan, probe="model", device=str(self._device))
