"""What do scans of one object, or with one probe, gain when they are solved together?

    python benchmarks/together.py
    python benchmarks/together.py --seeds 1,2,3,4,5

Simulated scans with a probe of 32 px and 1e5 photons in a pattern; the start probe is wrong by a phase. One object:
half of the positions of a scan alone, both halves together, and the whole scan. One probe: a short scan of another
object alone, and together with the whole scan.
"""

import argparse
from dataclasses import replace

import numpy as np
from record import add_results_option, record

import ptychopinn
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import compare
from ptychopinn.solver import Common

SIZE, STEP, PHOTONS = 32, 4, 1e5
SIDE, SHORT_SIDE = 128, 56
"""Of the objects, px: 529 and 25 patterns."""
SETTINGS = ["reconstruction.prior=none"]


def main() -> None:
    """Simulate, solve and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3")
    add_results_option(parser)
    given = parser.parse_args()
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in map(int, given.seeds.split(",")):
        for name, scores in measured(seed).items():
            rows.setdefault(name, []).append(scores)
    lines = ["| image | PSNR of the amplitude (dB) | PSNR of the phase (dB) |", "| --- | --- | --- |"]
    for name, found in rows.items():
        cells = [", ".join(f"{score[axis]:.2f}" for score in found) for axis in (0, 1)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    table = "\n".join(lines)
    print(table)
    if given.results:
        record(given.results, table, f"Seeds {given.seeds}, without a prior.")


def measured(seed: int) -> dict[str, tuple[float, float]]:
    """Name of an image -> PSNR of amplitude and phase."""
    whole, short = simulated(seed, SIDE), simulated(seed + 1000, SHORT_SIDE)
    order = np.random.default_rng(seed).permutation(len(whole))
    halves = [whole.select(np.sort(order[first::2])) for first in (0, 1)]
    return {
        "half of the scan": quality(alone(halves[0]), whole),
        "both halves, `--common object`": quality(together(halves, "object")[0], whole),
        "both halves, `--common both`": quality(together(halves, "both")[0], whole),
        "the whole scan": quality(alone(whole), whole),
        "a short scan": quality(alone(short), short),
        "the same with the whole scan, `--common probe`": quality(together([whole, short], "probe")[1], short),
    }


def simulated(seed: int, side: int) -> Scan:
    """A scan whose probe is wrong by a phase of up to a few rad at its edge."""
    words = [f"object_size_px={side}", f"probe_size_px={SIZE}", f"step_px={STEP}"]
    words += [f"photons_per_pattern={PHOTONS}", f"seed={seed}"]
    scan = ptychopinn.simulate(overrides=[f"simulation.{word}" for word in words]).scan
    y, x = np.indices(scan.probe.shape[-2:]) - SIZE // 2
    return replace(scan, probe=(scan.probe * np.exp(1j * (0.016 * y**2 + 0.01 * x * y))).astype(np.complex64))


def alone(scan: Scan) -> Reconstruction:
    """The image of one scan."""
    return ptychopinn.reconstruct(scan, overrides=SETTINGS).reconstruction


def together(scans: list[Scan], common: Common) -> list[Reconstruction]:
    """The images of scans that are solved together."""
    made = ptychopinn.reconstruct_together(scans, common=common, overrides=SETTINGS)
    return [part.reconstruction for part in made.parts.values()]


def quality(image: Reconstruction, scan: Scan) -> tuple[float, float]:
    """PSNR of amplitude and phase against the truth, dB, without a rim of 18 px."""
    truth = scan.object_guess
    found, _ = image.in_frame((0, 0), truth.shape)
    report = compare(found, truth, region=(18, truth.shape[0] - 18, 18, truth.shape[1] - 18))
    return report["psnr_amplitude"], report["psnr_phase"]


if __name__ == "__main__":
    main()
