"""Do two checkouts of this project give the same images, and at what cost?

    python benchmarks/compare_revisions.py OTHER_CHECKOUT ../shared/data
    python benchmarks/compare_revisions.py OTHER_CHECKOUT ../shared/data --only synth_dev_1e4 --epochs 5

For each scan: the default recipe, the unrolled recipe, and the iterative solver alone (by its default), once with each
checkout, one after the other, on one thread and with one seed, each in a process of its own. The table gives
the relative difference of the objects where both are covered, norm(this - other) / norm(other), and the CPU seconds of
the whole process, import and reading included. `--epochs` shortens the trainings.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SCANS = ("siemens64", "synth_dev_1e4", "synth_dev_1e6")
HERE = Path(__file__).resolve().parents[1]
UNROLLED = {
    "data": {"group_size": 100, "validation_fraction": 0},
    "model": {"generator": {"architecture": "unrolled"}},
    "training": {"patterns_per_step": 100, "epochs": 80, "thinning": 0.3},
}
"""The recipe `unrolled`, written out: the checkouts may keep their recipes in different folders."""
ONE_RUN = """
import json, sys
import torch
torch.set_num_threads(1)
import ptychopinn
kind, scan, output, recipe, overrides = json.loads(sys.argv[1])
if kind == "solver":
    made = ptychopinn.reconstruct(scan, None, output, refine=50)
else:
    trained = ptychopinn.train(scan, output, recipe, overrides=["training.threads=1", *overrides])
    made = ptychopinn.reconstruct(scan, trained, output)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="another checkout of this project")
    parser.add_argument("data", type=Path, help="folder of the scans")
    parser.add_argument("--only", default=",".join(SCANS), help="scans, separated by commas")
    parser.add_argument("--kinds", default="solver,default,unrolled", help="what is run, separated by commas")
    parser.add_argument("--epochs", type=int, help="of the trainings; those of the recipes by default")
    arguments = parser.parse_args()
    print("| scan | method | relative difference | CPU s, other | CPU s, this | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for scan in arguments.only.split(","):
            for kind in arguments.kinds.split(","):
                row = compare(arguments, kind, scan, Path(folder))
                print(
                    f"| {scan} | {kind} | {row[0]:.2g} | {row[1]:.1f} | {row[2]:.1f} | {row[2] / row[1]:.2f} |",
                    flush=True,
                )


def compare(arguments: argparse.Namespace, kind: str, scan: str, folder: Path) -> tuple[float, float, float]:
    """Relative difference of the two objects, and the CPU seconds of the other and of this checkout."""
    images, seconds = [], []
    for checkout in (arguments.other, HERE):
        output = folder / f"{scan}-{kind}-{len(images)}"
        seconds.append(run_once(arguments, checkout.resolve(), kind, scan, output))
        with np.load(output / "reconstruction.npz") as stored:
            images.append((stored["object"], stored["coverage"]))
    (other, seen_before), (this, seen_now) = images
    common = (seen_before > 0) & (seen_now > 0)
    return float(np.linalg.norm((this - other)[common]) / np.linalg.norm(other[common])), seconds[0], seconds[1]


def run_once(arguments: argparse.Namespace, checkout: Path, kind: str, scan: str, output: Path) -> float:
    """CPU seconds of one run in a process of its own."""
    overrides = [] if arguments.epochs is None else [f"training.epochs={arguments.epochs}"]
    recipe = UNROLLED if kind == "unrolled" else None
    job = json.dumps([kind, str((arguments.data / f"{scan}.npz").resolve()), str(output), recipe, overrides])
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(checkout / "src")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", ONE_RUN, job], check=True, env=os.environ | threads, cwd=output.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
