"""CPU seconds of a command beside the iterations of the solver, with this checkout and with another one.

    python benchmarks/start_up.py ../shared/data/siemens64.npz --results benchmarks/results/start_up.md
    python benchmarks/start_up.py SCAN --other OTHER_CHECKOUT --rounds 3
    python benchmarks/start_up.py SCAN --other OTHER_CHECKOUT --words-of-other '--model none --refine 50'

`ptychopinn --help`, `info SCAN` and `reconstruct SCAN`, each in a process of its own on one thread, both checkouts in
turn. Of `reconstruct` the import of torch and the iterations (with the prior) are counted by themselves; the rest is
what the command takes beside them: other imports, reading, misfit, collapse test, comparison with the object guess,
figure. The first run of each checkout, which writes the bytecode of Python, does not count.
"""

import argparse
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import add_results_option, record

HERE = Path(__file__).resolve().parents[1]
RECONSTRUCT = """
import json, sys, time
clock = time.process_time
from ptychopinn import cli
process = getattr(cli, "process", None)
for prepare in ("collect_seldom", "wait_without_work", "start_no_plugins_of_pydantic"):
    getattr(process, prepare, lambda: None)()  # as main does, before torch is imported; not all revisions have all
started = clock()
import torch
parts = {"import torch": clock() - started}
try:
    import ptychopinn.api.solve as solve
except ImportError:
    import ptychopinn.api.reconstruct as solve

def timed(name):
    work = getattr(solve, name)

    def counted(*arguments, **options):
        started = clock()
        try:
            return work(*arguments, **options)
        finally:
            parts[name] = parts.get(name, 0.0) + clock() - started

    setattr(solve, name, counted)

for name in ("iterated", "corrected"):
    if hasattr(solve, name):
        timed(name)
try:
    cli.main()
finally:
    with open(sys.argv[-1] + "/parts.json", "w") as file:
        json.dump({**parts, "all": clock()}, file)
"""
COMMAND = "import sys; sys.argv[0] = 'ptychopinn'; from ptychopinn.cli import main; main()"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="+", type=Path)
    parser.add_argument("--other", type=Path, help="another checkout of this project")
    parser.add_argument("--words-of-other", default="", help="options of its `reconstruct`, as one word")
    parser.add_argument("--rounds", type=int, default=3)
    add_results_option(parser)
    given = parser.parse_args()
    checkouts = {"this": (HERE, ())}
    if given.other is not None:
        checkouts = {"other": (given.other.resolve(), tuple(shlex.split(given.words_of_other))), **checkouts}
    lines = [
        "| checkout | scan | `--help` | `info` | `reconstruct` | of it import torch | iterations, prior | all else |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for scan in given.scans:
        runs: dict[str, list[list[float]]] = {name: [] for name in checkouts}
        for number in range(given.rounds + 1):
            for name, (checkout, words) in checkouts.items():
                row = measured(checkout, scan.resolve(), words)
                if number:
                    runs[name].append(row)
        for name, rows in runs.items():
            medians = [statistics.median(column) for column in zip(*rows, strict=True)]
            lines.append(f"| {name} | {scan.stem} | " + " | ".join(f"{value:.2f}" for value in medians) + " |")
            print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if given.results:
        note = (
            f"CPU seconds on one thread, medians of {given.rounds} runs in turn; torch is loaded by `reconstruct` only."
        )
        record(given.results, text, note)


def measured(checkout: Path, scan: Path, words: tuple[str, ...]) -> list[float]:
    """CPU seconds of the three commands, and the three parts of the last one."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = [run(checkout, folder, COMMAND, "--help"), run(checkout, folder, COMMAND, "info", str(scan))]
        seconds.append(run(checkout, folder, RECONSTRUCT, "reconstruct", str(scan), *words, "-o", f"{folder}/out"))
        parts = json.loads((Path(folder) / "out" / "parts.json").read_text())
    torch = parts["import torch"]
    iterations = parts.get("iterated", 0.0) + parts.get("corrected", 0.0)
    return [*seconds, torch, iterations, parts["all"] - torch - iterations]


def run(checkout: Path, folder: str, code: str, *words: str) -> float:
    """CPU seconds of a process."""
    settings = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(checkout / "src")}
    settings["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "ptychopinn-start-up")
    environment = {**os.environ, **settings}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *words], check=True, env=environment, cwd=folder, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
