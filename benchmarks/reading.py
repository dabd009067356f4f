"""What does reading a scan cost, in this checkout and in another one?

    python benchmarks/reading.py OTHER_CHECKOUT ../shared/data
    python benchmarks/reading.py OTHER_CHECKOUT ../shared/data --files siemens128.npz --repeats 41

Each checkout has one process for each file. The processes read in turns, one at a time, on one thread, so that a change
of the machine's load affects both. The table gives the medians of the CPU time of `read_scan`, after one read that is
not counted, and the ratio of this checkout to the other one.
"""

import argparse
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

FILES = "siemens128.npz,siemens128.cxi"
HERE = Path(__file__).resolve().parents[1]
ON_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
READER = """
import logging, sys, time
logging.disable(logging.CRITICAL)
from ptychopinn.data import read_scan
read_scan(sys.argv[1])
for _ in sys.stdin:
    start = time.process_time()
    read_scan(sys.argv[1])
    print(time.process_time() - start, flush=True)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="another checkout of this project")
    parser.add_argument("data", type=Path, help="folder of the scans")
    parser.add_argument("--files", default=FILES, help="names of scans, separated by commas")
    parser.add_argument("--repeats", type=int, default=25, help="reads of each file by each checkout")
    arguments = parser.parse_args()
    print("| file | CPU ms, other | CPU ms, this | ratio |")
    print("| --- | --- | --- | --- |")
    for name in arguments.files.split(","):
        other, this = medians((arguments.other, HERE), arguments.data / name, arguments.repeats)
        print(f"| {name} | {other * 1e3:.1f} | {this * 1e3:.1f} | {this / other:.3f} |", flush=True)


def medians(checkouts: tuple[Path, ...], scan: Path, repeats: int) -> list[float]:
    """Median CPU seconds of one read, for each checkout."""
    with ExitStack() as stack:
        readers = [stack.enter_context(reader(checkout, scan)) for checkout in checkouts]
        seconds: list[list[float]] = [[] for _ in readers]
        for turn in range(repeats):
            order = range(len(readers)) if turn % 2 == 0 else reversed(range(len(readers)))
            for index in order:
                seconds[index].append(one_read(readers[index]))
    return [statistics.median(values) for values in seconds]


def reader(checkout: Path, scan: Path) -> "subprocess.Popen[str]":
    """A process that reads a scan once for each line that it gets."""
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(scan.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | ON_ONE_THREAD | {"PYTHONPATH": str(checkout.resolve() / "src")},
    )


def one_read(process: "subprocess.Popen[str]") -> float:
    """CPU seconds of the next read."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("read\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("a checkout could not read the file; run `ptychopinn info` there for the reason")
    return float(answer)


if __name__ == "__main__":
    main()
