"""Images of drawn scans that no choice was made on: `reconstruct`, `run`, and another checkout of this project.

    python benchmarks/kept_back.py                                      # `reconstruct` on 20 scans
    python benchmarks/kept_back.py --other ../before --run --results benchmarks/results/kept_back.md
    python benchmarks/kept_back.py --other ../before --seeds 5100,5101,5102

A scan is that of `drawn_scans.drawn`: the seed decides sample, probe, step, contrast, and with odd seeds a start probe
that is out of focus; photons per pattern go from 1e3 to 1e7. Each image is made in a process of its own on one
thread. The other checkout makes two images: `--refine 50`, and its recipe `few_photons` (edge-preserving, the best of
its general recipes). Images are scored against the truth after phase, ramp and shift are removed, with the scale as it
is; the amplitude also with the best scale. CPU seconds are those of the whole process, import and writing included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from drawn_scans import OBJECTS, PROBES, Drawn, drawn
from record import add_results_option, record

from ptychopinn.data import write_scan
from ptychopinn.data.reconstruction import Reconstruction

HERE = Path(__file__).resolve().parents[1]
PHOTONS = (1e3, 1e4, 1e5, 1e6, 1e7)
SEEDS = range(5100, 5120)
RECIPES = ("src/ptychopinn/recipes", "recipes")
"""Where a checkout may keep them."""
SIZE_PX = 176
"""Of the object: 200 to 400 patterns."""
ONE_IMAGE = """
import json, sys
import torch
torch.set_num_threads(1)
import ptychopinn
command, scan, output, settings = json.loads(sys.argv[1])
if command == "run":
    ptychopinn.run(scan, output, overrides=["training.threads=1"])
else:
    ptychopinn.reconstruct(scan, None, output, **settings)
"""
HEAD = (
    "| seed | sample | probe | photons | patterns | method | amplitude, dB | the same, scale fitted | phase, dB "
    "| scale | verdict | CPU s |\n" + "|" + " --- |" * 12
)


@dataclass(frozen=True)
class Method:
    """How an image is made."""

    name: str
    checkout: Path
    command: str = "reconstruct"
    settings: tuple[tuple[str, int | str], ...] = ()
    """Arguments of `reconstruct`."""


@dataclass(frozen=True)
class Row:
    """One image, scored."""

    seed: int
    method: str
    amplitude_db: float
    fitted_db: float
    """The same with the best scale."""
    phase_db: float
    scale: float
    verdict: str
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="separated by commas")
    parser.add_argument("--run", action="store_true", help="also make the image of `run`, which trains a network")
    parser.add_argument("--other", type=Path, help="another checkout of this project")
    add_results_option(parser)
    arguments = parser.parse_args()
    methods = methods_of(arguments.run, arguments.other)
    print(HEAD, flush=True)
    lines, rows = [HEAD], []
    for seed in map(int, arguments.seeds.split(",")):
        for row, line in rows_of(seed, methods):
            print(line, flush=True)
            rows.append(row)
            lines.append(line)
    summary = differences(rows)
    print("\n" + summary)
    if arguments.results:
        note = "Scored with the scale as it is, on scans that no setting was chosen on."
        record(arguments.results, "\n".join(lines) + "\n\n" + summary, note)


def methods_of(with_run: bool, other: Path | None) -> list[Method]:
    """What makes images; the first is what the others are compared with."""
    methods = [Method("`reconstruct`", HERE)]
    if with_run:
        methods.append(Method("`run`", HERE, "run"))
    if other is not None:
        found = next(path for folder in RECIPES if (path := other / folder / "few_photons.yaml").is_file())
        general = str(found.resolve())
        methods.append(Method("other: `--refine 50`", other, settings=(("refine", 50),)))
        methods.append(Method("other: `few_photons`", other, settings=(("recipe", general),)))
    return methods


def rows_of(seed: int, methods: list[Method]) -> Iterator[tuple[Row, str]]:
    """A row for each method on one scan, and its line of the table."""
    photons = PHOTONS[seed % len(PHOTONS)]
    scan = drawn(seed, photons, SIZE_PX)
    probe = f"{PROBES[(seed // 2) % len(PROBES)]}, {'out of focus' if seed % 2 else 'exact'}"
    known = [str(seed), OBJECTS[seed % len(OBJECTS)], probe, f"{photons:.0e}", str(len(scan.scan))]
    with tempfile.TemporaryDirectory() as folder:
        path = write_scan(replace(scan.scan, object_guess=None), Path(folder) / "scan.npz")
        for number, method in enumerate(methods):
            row = measured(seed, scan, method, path, Path(folder) / str(number))
            values = [f"{row.amplitude_db:.2f}", f"{row.fitted_db:.2f}", f"{row.phase_db:.2f}", f"{row.scale:.3f}"]
            yield row, f"| {' | '.join([*known, method.name, *values, row.verdict, f'{row.cpu_s:.1f}'])} |"


def measured(seed: int, truth: Drawn, method: Method, scan: Path, output: Path) -> Row:
    """One image, made in a process of its own."""
    job = json.dumps([method.command, str(scan), str(output), dict(method.settings)])
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(method.checkout.resolve() / "src")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", ONE_IMAGE, job], check=True, env=os.environ | threads, cwd=scan.parent, stdout=2
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    scores = scored(Reconstruction.load(output / "reconstruction.npz"), truth)
    metrics = json.loads((output / "metrics.json").read_text())
    return Row(
        seed,
        method.name,
        scores["psnr_amplitude_scale_kept"],
        scores["psnr_amplitude"],
        scores["psnr_phase"],
        scores["object_scale"],
        metrics.get("verdict", {}).get("level", ""),
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def scored(image: Reconstruction, truth: Drawn) -> dict[str, float]:
    """Scores of an image on the grid of the true object."""
    assert truth.scan.object_guess is not None
    object_, coverage = image.in_frame((0, 0), truth.scan.object_guess.shape)
    there = replace(image, object_=object_, coverage=coverage, origin_px=np.zeros(2), prior_correction=None)
    return truth.scores(there)


def differences(rows: list[Row]) -> str:
    """Mean and worst difference of the first method to each of the others, and its part of their CPU seconds."""
    first = {row.seed: row for row in rows if row.method == rows[0].method}
    others = list(dict.fromkeys(row.method for row in rows if row.method != rows[0].method))
    lines = [
        f"| {rows[0].method} less | amplitude, dB: mean, worst | the same, scale fitted | phase, dB: mean, worst "
        f"| CPU s of {rows[0].method} over those of the other: mean, worst |",
        "|" + " --- |" * 5,
    ]
    for name in others:
        pairs = [(first[row.seed], row) for row in rows if row.method == name]
        gains = [
            [getattr(one, score) - getattr(other, score) for one, other in pairs]
            for score in ("amplitude_db", "fitted_db", "phase_db")
        ]
        cost = [one.cpu_s / other.cpu_s for one, other in pairs]
        cells = [f"{np.mean(values):+.2f}, {np.min(values):+.2f}" for values in gains]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.mean(cost):.2f}, {np.max(cost):.2f} |")
    text = "\n".join(stated(name, [row for row in rows if row.method == name]) for name in [rows[0].method, *others])
    return "\n".join([*lines, "", text]) if others else text


def stated(name: str, rows: list[Row]) -> str:
    """Scales and verdicts of a method in a line."""
    scales, levels = [row.scale for row in rows], [row.verdict for row in rows if row.verdict]
    text = f"- {name}: scale {min(scales):.3f} to {max(scales):.3f}"
    counted = [f"{level} {levels.count(level)}" for level in sorted(set(levels))]
    return text + (f"; verdicts: {', '.join(counted)}" if counted else "")


if __name__ == "__main__":
    main()
