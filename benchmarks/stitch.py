"""Compare stitching with one read and one write of the patches in memory.

    python benchmarks/stitch.py                     # 100,000 patches of 64 x 64 px
    python benchmarks/stitch.py --patches 20000 --size 128

The unit is the time in which the memory of all patches is read once and written once, in blocks of the size that
`reconstruct` stitches at once. Stitching weighs each patch by the probe and adds patch and weight to the canvas at the
positions of a square scan with jitter, as `reconstruct` does after each batch. Both are measured in turn, in CPU time
of one thread.
"""

import argparse

import numpy as np
import torch
from overhead import alternate
from record import add_results_option, record
from scaling import STEP

from ptychopinn.config import Recipe
from ptychopinn.data.frame import Frame
from ptychopinn.physics import power_weight
from ptychopinn.reconstruction import Stitcher

LARGEST = 6.0
"""Times one read and one write, above which stitching is too slow."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64, help="side of a patch, px")
    parser.add_argument("--rounds", type=int, default=5)
    add_results_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    together = Recipe().reconstruction.batch_size
    rows = [measured(options.patches, options.size, each, options.rounds) for each in (together, 512)]
    head = "| patches | side (px) | at once | read and write (s) | stitching (s) | stitching / read and write |"
    text = "\n".join([head, "| --- " * 6 + "|", *rows])
    print(text)
    if options.results:
        record(options.results, text, f"The last column must be below {LARGEST:g}; medians of {options.rounds} rounds.")


def measured(count: int, size: int, together: int, rounds: int) -> str:
    """A line of the table."""
    random = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(count)))
    grid = np.stack(np.divmod(np.arange(count), side), axis=1) * STEP * size
    positions = np.rint(grid + random.uniform(0, 0.3 * STEP * size, grid.shape)).astype(np.int64)
    frame = Frame.of_positions(positions.astype(float), size)
    where = torch.from_numpy(positions)
    patches = torch.ones(count, size, size, dtype=torch.complex64)
    copied = torch.ones_like(patches)
    power = torch.rand(size, size, generator=torch.Generator().manual_seed(0)) + 0.1
    blocks = [slice(start, start + together) for start in range(0, count, together)]

    def stitch() -> None:
        stitcher = Stitcher(frame)
        for block in blocks:
            part = patches[block]
            stitcher.add(part, power_weight("probe", power.expand(part.shape)), where[block])
        stitcher.finish(1e-3)

    def read_and_write() -> None:
        for block in blocks:
            copied[block] = patches[block]

    whole, part, share = alternate(stitch, read_and_write, rounds)
    return f"| {count} | {size} | {together} | {part:.2f} | {whole:.2f} | {1 / share:.1f} |"


if __name__ == "__main__":
    main()
