"""How a scan could have been recorded otherwise: axes, order, phase, domain and unit, as settings of `data`."""

from dataclasses import dataclass, replace
from typing import Literal, final

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import adjusted
from ptychopinn.data.corner import centred
from ptychopinn.data.scan import Domain, Scan

Flips = Literal["none", "rows", "columns", "both"]


@final
@dataclass(frozen=True)
class Axes:
    """One of the eight orientations: exchange rows (y) and columns (x), then reverse them.

    >>> turn = Axes(swap=True, rows=True)
    >>> turn.then(turn), turn.then(turn).then(turn).then(turn)
    (Axes(swap=False, rows=True, columns=True), Axes(swap=False, rows=False, columns=False))
    """

    swap: bool = False
    rows: bool = False
    columns: bool = False

    def then(self, other: "Axes") -> "Axes":
        """This orientation and another one after it."""
        rows, columns = (self.columns, self.rows) if other.swap else (self.rows, self.columns)
        return Axes(self.swap != other.swap, rows != other.rows, columns != other.columns)

    @property
    def flips(self) -> Flips:
        """What is reversed, by the names of patterns."""
        if self.rows:
            return "both" if self.columns else "rows"
        return "columns" if self.columns else "none"

    @classmethod
    def of(cls, swap: bool, flips: str) -> "Axes":
        """From the settings of `data`: rows or y, columns or x."""
        return cls(swap, flips in ("rows", "y", "both"), flips in ("columns", "x", "both"))


EIGHT = tuple(Axes(bool(way & 4), bool(way & 1), bool(way & 2)) for way in range(8))
"""All orientations; the first changes nothing."""
_POSITIONS: dict[Flips, Literal["none", "y", "x", "both"]] = {
    "none": "none",
    "rows": "y",
    "columns": "x",
    "both": "both",
}


@final
@dataclass(frozen=True)
class ReadingConvention:
    """A change of how a scan is read; the default changes nothing."""

    positions: Axes = Axes()
    patterns: Axes = Axes()
    reverse: bool = False
    shift: int = 0
    conjugate: bool = False
    scale: float = 1.0
    domain: Domain | None = None
    fftshift: bool = False

    @classmethod
    def of(cls, options: DataConfig) -> "ReadingConvention":
        """What settings of `data` ask for."""
        return cls(
            Axes.of(options.swap_positions, options.flip_positions),
            Axes.of(options.transpose_patterns, options.flip_patterns),
            options.reverse_positions,
            options.shift_positions,
            options.conjugate_probe,
            options.position_scale,
            None if options.domain == "auto" else options.domain,
            options.fftshift,
        )

    def then(self, other: "ReadingConvention") -> "ReadingConvention":
        """This change and another one after it, as one; a pattern that the first one left out may be there again."""
        return ReadingConvention(
            self.positions.then(other.positions),
            self.patterns.then(other.patterns),
            self.reverse != other.reverse,
            (0 if other.reverse else self.shift) + other.shift,
            self.conjugate != other.conjugate,
            self.scale * other.scale,
            self.domain if other.domain is None else other.domain,
            self.fftshift != other.fftshift,
        )

    def on(self, options: DataConfig) -> DataConfig:
        """Settings of `data` that ask for this."""
        return options.changed(
            swap_positions=self.positions.swap,
            flip_positions=_POSITIONS[self.positions.flips],
            transpose_patterns=self.patterns.swap,
            flip_patterns=self.patterns.flips,
            reverse_positions=self.reverse,
            shift_positions=self.shift,
            conjugate_probe=self.conjugate,
            position_scale=self.scale,
            domain=self.domain or options.domain,
            fftshift=self.fftshift,
        )

    def settings(self, options: DataConfig) -> tuple[str, ...]:
        """`data.key=value` texts that add this change to settings of `data`.

        >>> ReadingConvention(Axes(swap=True)).settings(DataConfig(flip_positions="y"))
        ('data.flip_positions=x', 'data.swap_positions=true')
        """
        now, then = options.model_dump(), ReadingConvention.of(options).then(self).on(options).model_dump()
        changed = {key: value for key, value in then.items() if value != now[key]}
        return tuple(f"data.{key}={_as_text(value)}" for key, value in sorted(changed.items()))

    def scan(self, scan: Scan) -> Scan:
        """The scan so read, unchecked."""
        if self.domain is not None:
            scan = replace(scan, domain=self.domain)
        if self.fftshift:
            patterns, bad = centred(scan.patterns, scan.bad_pixels)
            scan = replace(scan, patterns=patterns, bad_pixels=bad)
        return adjusted(scan, replace(self, domain=None, fftshift=False).on(DataConfig()))


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
