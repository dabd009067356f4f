"""Do the error bars hold? The part of the pixels whose true value lies within one and two of them, on simulated scans.

    python benchmarks/error_bars.py --seeds 7106:7306

Each seed draws a scan of 64 px patterns: object, probe, step, contrast, a good or a poor start probe, and 1e3 to 1e6
photons. Scans of seeds divisible by 4, and the next ones, are solved without a prior, the others with that of the
package. Image and truth are compared after the shift, the phase ramp and the phase that no count tells; the scale is
kept. `--wrong` makes scans whose positions or probe are wrong and held, for the verdict.
"""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from drawn_scans import OBJECTS, PROBES, Drawn, defocused, drawn
from numpy.typing import NDArray
from record import add_results_option, record

import ptychopinn
from ptychopinn.metrics import align
from ptychopinn.reconstruction.error_bars import parts_of_difference

ASKED = {"68 %": 1.0, "95 %": 1.96}
"""Half widths of the bands in standard deviations."""
POSITIONS_PX = 2.0
"""Root mean square of wrong positions, along each axis."""
HEAD = (
    "| seed | object | probe | start | photons | prior | verdict | amplitude, in 68 % | in 95 % | rms error / bar "
    "| phase, in 68 % | in 95 % | rms error / bar |\n" + "|---" * 13 + "|\n"
)


@dataclass(frozen=True)
class Held:
    """One scan."""

    seed: int
    photons: float
    poor: bool
    prior: str
    level: str
    ratios: tuple[NDArray[np.float64], NDArray[np.float64]]
    """Errors of amplitude and phase over their bars, (K,) each."""

    def coverage(self, part: int, width: float) -> float:
        """Part of the pixels within so many bars."""
        return float((np.abs(self.ratios[part]) < width).mean())

    def line(self) -> str:
        """Of the table."""
        parts = [
            f"{100 * self.coverage(part, 1.0):.0f} | {100 * self.coverage(part, 1.96):.0f} | "
            f"{np.sqrt(np.square(self.ratios[part]).mean()):.2f}"
            for part in (0, 1)
        ]
        names = f"{OBJECTS[self.seed % len(OBJECTS)]} | {PROBES[(self.seed // 2) % len(PROBES)]}"
        start = "poor" if self.poor else "good"
        return (
            f"| {self.seed} | {names} | {start} | {self.photons:.1e} | {self.prior} | {self.level} | "
            f"{' | '.join(parts)} |"
        )


def main() -> None:
    """Print a line as soon as it is measured, then the summary."""
    options = arguments()
    torch.set_num_threads(1)
    logging.getLogger("ptychopinn").setLevel(logging.ERROR)
    if options.wrong:
        body = wrong_table(options)
    else:
        print(HEAD, end="", flush=True)
        found = []
        for one in measured(options):
            print(one.line(), flush=True)
            found.append(one)
        body = summary(found) + "\n" + HEAD + "\n".join(one.line() for one in found)
        print(summary(found))
    if options.results:
        record(options.results, body, "Numbers in the columns `in 68 %` and `in 95 %` are percent of the pixels.")


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="7000:7010", help="first and last (excluded), or a list")
    parser.add_argument("--replicas", type=int, default=None, help="instead of the default")
    parser.add_argument("--save", default="", help="NPZ file for the ratios")
    parser.add_argument("--wrong", action="store_true", help="wrong positions and wrong probes, for the verdict")
    add_results_option(parser)
    return parser.parse_args()


def seeds_of(text: str) -> list[int]:
    """`7000:7003` or `7000,7002`."""
    if ":" in text:
        first, last = map(int, text.split(":"))
        return list(range(first, last))
    return [int(word) for word in text.split(",")]


def scan_of(seed: int) -> tuple[Drawn, float, bool]:
    """The scan of a seed, its photons, and whether the start probe is poor."""
    rng = np.random.default_rng(seed + 77)
    photons, poor = float(10 ** rng.uniform(3, 6)), bool(rng.integers(2))
    return drawn(seed, photons, poor=poor), photons, poor


def measured(options: Namespace) -> Iterator[Held]:
    """One scan after the other."""
    kept: dict[str, Any] = {}
    for seed in seeds_of(options.seeds):
        one, photons, poor = scan_of(seed)
        prior = "default" if seed // 2 % 2 else "none"
        overrides = ["reconstruction.uncertainty=true", f"reconstruction.prior={prior}", "reconstruction.check=false"]
        if options.replicas:
            overrides.append(f"reconstruction.uncertainty_replicas={options.replicas}")
        made = ptychopinn.reconstruct(one.scan, overrides=overrides)
        assert made.verdict is not None
        ratios = ratios_of(one, made.reconstruction)
        held = Held(seed, photons, poor, prior, made.verdict.level, ratios)
        kept |= {f"{seed}_{part}": ratios[number] for number, part in enumerate(("amplitude", "phase"))}
        kept[f"{seed}_entry"] = np.asarray(
            [made.metrics["uncertainty"][key] for key in ("lost_detail", "lost_detail_error")]
        )
        if options.save:
            np.savez(options.save, **kept)
        yield held


def ratios_of(one: Drawn, image: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors over bars of amplitude and phase, on the pixels of the scored region."""
    truth = one.scan.object_guess
    assert truth is not None
    y0, y1, x0, x1 = one.region
    mask = np.zeros(truth.shape, bool)
    mask[y0:y1, x0:x1] = True
    mask &= image.covered
    aligned = align(image.object_, truth, mask=mask, support=image.covered, scale=False).object_
    amplitude, across = parts_of_difference(aligned, truth)
    phase = across / np.abs(truth)
    return (amplitude / image.amplitude_error)[mask], (phase / image.phase_error)[mask]


def summary(found: list[Held]) -> str:
    """Coverage in all, by dose and by prior, and on single scans."""
    lines = [
        "| scans | number | " + " | ".join(f"{part}, in {band}" for part in ("amplitude", "phase") for band in ASKED)
    ]
    lines[0] += " | 68 % band within 60 to 76 %: amplitude | phase |"
    lines.append("|---" * 8 + "|")
    groups = {
        "all": found,
        "without prior": [one for one in found if one.prior == "none"],
        "with prior": [one for one in found if one.prior != "none"],
        **{
            f"1e{low} to 1e{low + 1} photons": [one for one in found if 10**low <= one.photons < 10 ** (low + 1)]
            for low in (3, 4, 5)
        },
        "poor start": [one for one in found if one.poor],
        "verdict fits": [one for one in found if one.level == "fits"],
        "verdict fits in part": [one for one in found if one.level == "fits in part"],
        "verdict does not fit": [one for one in found if one.level == "does not fit"],
    }
    for name, group in groups.items():
        if not group:
            continue
        parts = []
        for part in (0, 1):
            every = np.abs(np.concatenate([one.ratios[part] for one in group]))
            parts += [f"{100 * (every < width).mean():.1f}" for width in ASKED.values()]
        singles = [np.mean([0.6 <= one.coverage(part, 1.0) <= 0.76 for one in group]) for part in (0, 1)]
        lines.append(
            f"| {name} | {len(group)} | {' | '.join(parts)} | {100 * singles[0]:.0f} % | {100 * singles[1]:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def wrong_table(options: Namespace) -> str:
    """Verdicts and coverage where positions or the probe are wrong on purpose and held."""
    head = "| seed | photons | wrong | verdict | amplitude, in 68 % | phase, in 68 % |\n" + "|---" * 6 + "|\n"
    print(head, end="", flush=True)
    lines = []
    for seed in seeds_of(options.seeds):
        one, photons, _ = scan_of(seed)
        for kind in ("positions", "probe"):
            made = ptychopinn.reconstruct(
                spoilt(one, kind, seed),
                overrides=[
                    "reconstruction.uncertainty=true",
                    "reconstruction.check=false",
                    *(["reconstruction.refine.probe=false"] if kind == "probe" else []),
                ],
            )
            assert made.verdict is not None
            ratios = ratios_of(one, made.reconstruction)
            inside = [f"{100 * (np.abs(part) < 1).mean():.0f}" for part in ratios]
            lines.append(f"| {seed} | {photons:.1e} | {kind} | {made.verdict.level} | {' | '.join(inside)} |")
            print(lines[-1], flush=True)
    return head + "\n".join(lines)


def spoilt(one: Drawn, kind: str, seed: int) -> Any:
    """The scan with wrong positions, or with the probe of another distance."""
    if kind == "probe":
        return replace(one.scan, probe=defocused(one.scan.probe))
    errors = np.random.default_rng(seed).normal(0, POSITIONS_PX, one.scan.positions_px.shape)
    return replace(one.scan, positions_px=one.scan.positions_px + errors)


if __name__ == "__main__":
    main()
