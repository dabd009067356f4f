"""Measure the quality and the time of scans x networks x seeds, as in docs/measurements.md.

    python benchmarks/quality.py ../shared/data -o outputs/quality --architectures cnn,fno,hybrid --seeds 0,1,2
    python benchmarks/quality.py ../shared/data -o outputs/quality --only siemens64 --set training.epochs=20
    python benchmarks/quality.py ../shared/data -o outputs/quality --architectures cnn,mine=transfer
    python benchmarks/quality.py ../shared/data -o outputs/quality --only siemens64 --halves
    python benchmarks/quality.py ../shared/data -o outputs/refinement --refinement 3,4,5,6 --seeds 0,1,2 \
        --iterative 60 --results benchmarks/results/refinement.md

Every run is `ptychopinn.run` without the solver (`solve=False`), with the default recipe and another architecture, or
with a recipe (`name=RECIPE`). It is scored on a fixed rectangle after complex alignment. The grid-lines rows are runs
of that study with its own recipe: they train on two objects and reconstruct a third one. The iterative references that
come with the data are added to the table; `--iterative` adds the solver of pty-chi, with the same probe, if it is
installed. A run that has finished in the output folder is not repeated. `table.md`, `table.csv` and `table.json` are
written after each run.

With --halves the scan is divided into a left and a right half. A model is trained on one half, saved, and reconstructs
the other half. It is compared, on the same rectangle, with the model that was trained on the whole scan.

With --refinement the rows are those of docs/refine.md; `refinement.py` describes them.

With --results the table is also written to a file that the documents include.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import refinement
import torch
from record import add_results_option, record

import ptychopinn
from ptychopinn import Recipe
from ptychopinn.api.evaluate import Region, misfit_of
from ptychopinn.api.model_files import load_model
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io import write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.solver import photons_in_batches
from ptychopinn.studies.environment import environment, hardware_line
from ptychopinn.studies.finished import read_finished, write_finished
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.study import study_grid_lines
from ptychopinn.studies.iterative import MOMENTUM_GAIN, has_ptychi, solve_with_ptychi
from ptychopinn.studies.spread import markdown_table, spread_columns, spread_of, write_csv

REGIONS: dict[str, Region] = {
    "siemens64": (36, 202, 36, 202),
    "siemens128": (72, 404, 72, 404),
    "synth_dev_1e6": (40, 260, 40, 260),
    "synth_dev_1e4": (40, 260, 40, 260),
    "simulated_1e6": (40, 260, 40, 260),
    "simulated_1e4": (40, 260, 40, 260),
}
"""Rows and columns that are scored."""
GRID_LINES = {"grid_lines64": (64, 1), "grid_lines64_gs2": (64, 2), "grid_lines128": (128, 1)}
"""Pattern size, px, and gridsize of the grid-lines data."""
GRID_LINES_RECIPE = "grid_lines"
GRID_LINES_PROBE = "run1084_object_probe.npz"
"""The measured beam of the legacy study, among the scans."""
COLUMNS = (
    ("psnr_amplitude", "amplitude PSNR (peak 1), dB", 2),
    ("psnr_phase", "phase PSNR (peak 2 pi), dB", 2),
    ("ssim_amplitude", "amplitude SSIM", 3),
    ("ssim_phase", "phase SSIM", 3),
    ("frc_0.5_nyquist", "FRC 0.5, of Nyquist", 3),
    ("contrast_amplitude_high_rings", "amplitude contrast, rings above 5", 2),
    ("contrast_phase_high_rings", "phase contrast, rings above 5", 2),
    ("amplitude_misfit", "misfit", 4),
    ("residual_position_error_px", "residual position error, px", 3),
    ("poisson_deviance_per_pixel", "Poisson deviance", 3),
    ("poisson_deviance_of_a_perfect_model", "of a perfect model", 3),
    ("parameters", "parameters", 0),
    ("train_s", "training time, s", 0),
    ("cpu_s", "CPU time, s", 0),
    ("patterns_per_s", "patterns per s", 0),
)
"""Key of a number, its title, its digits."""
_QUALITY = ("psnr_amplitude", "psnr_phase", "ssim_amplitude", "ssim_phase", "frc_0.5_nyquist", "amplitude_misfit")
RESULT_COLUMNS = (*_QUALITY, "contrast_amplitude_high_rings", "contrast_phase_high_rings", "train_s", "cpu_s")
"""Columns of the table that `--results` writes."""
REFINEMENT_COLUMNS = (
    "cpu_s",
    "psnr_amplitude",
    "psnr_phase",
    "frc_0.5_nyquist",
    "amplitude_misfit",
    "residual_position_error_px",
)
"""The same, with `--refinement`."""
_SCORES = ("cpu_s", "psnr_amplitude", "psnr_phase", "ssim_amplitude", "ssim_phase", "frc_0.5_nyquist")
REFERENCES: dict[str, dict[str, dict[str, float]]] = {
    "siemens64": {"LSQML, 60 epochs (the reference)": {"amplitude_misfit": 0.081}},
    "siemens128": {"LSQML, 100 epochs (the reference)": {"amplitude_misfit": 0.154}},
    "synth_dev_1e6": {
        "LSQML, 10 epochs": dict(zip(_SCORES, (13, 33.5, 30.6, 0.906, 0.432, 1.0), strict=True)),
        "LSQML, 60 epochs": dict(zip(_SCORES, (82, 41.3, 36.5, 0.958, 0.737, 1.0), strict=True)),
        "LSQML, exact probe, 60 epochs": dict(zip(_SCORES, (84, 42.1, 36.5, 0.963, 0.739, 1.0), strict=True)),
    },
    "synth_dev_1e4": {
        "LSQML, 10 epochs": dict(zip(_SCORES, (13, 27.8, 30.0, 0.592, 0.386, 0.62), strict=True)),
        "LSQML, 60 epochs": dict(zip(_SCORES, (79, 28.6, 34.8, 0.598, 0.670, 0.62), strict=True)),
    },
}
"""Iterative references that come with the data, by scan and name: one thread of other hardware, poor probe."""


@dataclass(frozen=True)
class Trial:
    """One run: what was reconstructed, by what, and how good it is."""

    scan: str
    row: str
    seed: int
    values: dict[str, float | None]
    """By the keys of `COLUMNS`, and those that are not in the table."""
    flat: list[str]
    """Parts of the image that have collapsed."""


@dataclass(frozen=True)
class Plan:
    """What all runs share."""

    folder: Path
    """Where the scans lie."""
    output: Path
    overrides: list[str]

    def recipe(self, choice: str, seed: int) -> Recipe:
        """The recipe of an architecture, or of `name=RECIPE`."""
        _, is_named, source = choice.partition("=")
        base = Recipe.find(source) if is_named else Recipe()
        architecture = [] if is_named else [f"model.generator.architecture={choice}"]
        return base.with_overrides([*architecture, *self.overrides, f"training.seed={seed}"])

    def run_folder(self, scan: str, row: str, seed: int) -> Path:
        """Where a run is kept."""
        return self.output / scan / f"{row}_seed{seed}"


def trials(plan: Plan, scans: Sequence[str], choices: Sequence[str], seeds: Sequence[int]) -> Iterator[Trial]:
    """Every scan with every network and seed, one after the other."""
    for scan in scans:
        for choice in choices:
            for seed in seeds:
                make = grid_lines if scan in GRID_LINES else measured
                yield make(plan, scan, choice, seed)


def measured(plan: Plan, name: str, choice: str, seed: int) -> Trial:
    """Train on a scan, reconstruct it, score it."""
    row, recipe = choice.partition("=")[0], plan.recipe(choice, seed)
    file, folder = plan.folder / f"{name}.npz", plan.run_folder(name, row, seed)

    def run() -> dict[str, Any]:
        scan = ptychopinn.read_scan(file)
        before = time.process_time()
        made = ptychopinn.run(scan, folder, recipe, overwrite=True, solve=False)
        cpu_s = time.process_time() - before
        evaluation = ptychopinn.evaluate(made.reconstruction, scan, folder / "scored", region=REGIONS[name])
        metrics = made.reconstructed.metrics
        sizes = {"parameters": float(sum(value.numel() for value in made.trained.model.network.generator.parameters()))}
        values = {**evaluation.report, **metrics["data"], **metrics["timings"], **sizes, "cpu_s": cpu_s}
        return {"values": numbers(values), "flat": metrics["collapse"]["flat"]}

    return Trial(name, row, seed, **once(folder / "row.json", stated(recipe, file), run))


def grid_lines(plan: Plan, name: str, choice: str, seed: int) -> Trial:
    """Train on the training objects of the grid-lines data, reconstruct the test object, score it.

    Of a recipe `name=RECIPE` the architecture counts: all rows share the study's own recipe.
    """
    row = choice.partition("=")[0]
    architecture = plan.recipe(choice, seed).model.generator.architecture
    recipe = Recipe.from_name(GRID_LINES_RECIPE).with_overrides(plan.overrides)
    size, gridsize = GRID_LINES[name]
    data = GridLinesConfig(N=size, gridsize=gridsize, probe_npz=str(plan.folder / GRID_LINES_PROBE))
    folder = plan.output / name

    def run() -> dict[str, Any]:
        study = study_grid_lines(
            data,
            folder,
            recipe,
            architectures=[architecture],
            seeds=[seed],
            epochs=recipe.training.epochs or 60,
            baseline=False,
            iterative=False,
        )
        trained = folder / "runs" / f"pinn_{architecture}_seed{seed}"
        metrics = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
        network = load_model(trained).network
        sizes = {"parameters": float(sum(value.numel() for value in network.generator.parameters()))}
        times = {**metrics["timings"], "train_s": study.trials[0].train_s}
        values = {**study.trials[0].report, **metrics["data"], **times, **sizes}
        return {"values": numbers(values), "flat": metrics["collapse"]["flat"]}

    decided = {**stated(recipe, None), "architecture": architecture, "seed": seed, "data": data.model_dump(mode="json")}
    return Trial(name, row, seed, **once(plan.run_folder(name, row, seed) / "row.json", decided, run))


def iterative(plan: Plan, name: str, epochs: int, seed: int) -> Trial:
    """The solver of pty-chi on a scan, with the scan's probe as it is."""
    file, folder = plan.folder / f"{name}.npz", plan.run_folder(name, "ptychi", seed)

    def run() -> dict[str, Any]:
        scan = ptychopinn.read_scan(file)
        started, before = time.perf_counter(), time.process_time()
        image = solve_with_ptychi(scan, scan.probe, epochs=epochs, seed=seed)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - before
        report = ptychopinn.evaluate(image, scan, region=REGIONS[name]).report
        tensors = ScanTensors(scan)
        data = misfit_of(photons_in_batches(image, tensors), tensors).scores()
        values = {**report, **data, "train_s": seconds, "patterns_per_s": len(scan) / seconds, "cpu_s": cpu_s}
        return {"values": numbers(values), "flat": []}

    decided = {"epochs": epochs, "momentum": MOMENTUM_GAIN, "seed": seed, "scan": digest(file)}
    return Trial(name, f"LSQML of pty-chi (momentum), {epochs} epochs", seed, **once(folder / "row.json", decided, run))


def refined(
    plan: Plan, rows: Sequence[str], seeds: Sequence[int], iterations: int, ptychi_epochs: int | None
) -> Iterator[Trial]:
    """The rows of the refinement, for every seed."""
    common = (plan.folder, plan.output, iterations, plan.overrides)
    starts = [refinement.Start(*common, seed, ptychi_epochs) for seed in seeds]
    cases = ((start, case) for start in starts for row in rows for case in refinement.ROWS[row](start))
    for start, case in cases:
        file = plan.folder / f"{case.scan}.npz"

        def run(case: refinement.Case = case, file: Path = file) -> dict[str, Any]:
            def score(image: Reconstruction) -> dict[str, Any]:
                return ptychopinn.evaluate(image, file, region=REGIONS[case.scan]).report

            return {"values": numbers(case.values(score)), "flat": []}

        decided = {"iterations": start.iterations, "overrides": plan.overrides, "scan": digest(file)}
        folder = "".join(letter if letter.isalnum() else "_" for letter in case.row)
        path = plan.run_folder(case.scan, folder, start.seed) / "row.json"
        yield Trial(case.scan, case.row, start.seed, **once(path, decided, run))


def once(path: Path, decided: dict[str, Any], run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a run gives, read where it has ended before."""
    before = read_finished(path, decided)
    if before is not None:
        return before
    path.parent.mkdir(parents=True, exist_ok=True)
    made = run()
    write_finished(path, decided, made)
    return made


def stated(recipe: Recipe, file: Path | None) -> dict[str, Any]:
    """All that decides a run, as plain values."""
    return {"recipe": recipe.model_dump(mode="json"), "scan": None if file is None else digest(file)}


def digest(file: Path) -> str:
    """Of the content of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def numbers(values: dict[str, Any]) -> dict[str, float | None]:
    """Of a report those entries that are numbers, or would be if they had a meaning."""
    return {
        key: None if value is None else float(value)
        for key, value in values.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def write_tables(output: Path, made: Sequence[Trial], scans: Sequence[str]) -> str:
    """`table.md`, `table.csv` and `table.json`; the first one is returned too."""
    facts = environment("cpu")
    lines, records = table_lines(made, scans)
    table = markdown_table(["scan", "network", "seeds", *(title for _, title, _ in COLUMNS), "collapsed"], lines)
    text = f"On {hardware_line(facts)}. Mean and standard deviation over the seeds.\n\n{table}\n"
    write_text_atomically(output / "table.md", text)
    write_csv(output / "table.csv", records)
    tree = {"environment": facts, "trials": [asdict(trial) for trial in made], "references": REFERENCES}
    write_text_atomically(output / "table.json", json.dumps(tree, indent=2))
    return text


def table_lines(made: Sequence[Trial], scans: Sequence[str]) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """Lines of the whole table, references included, and the records of the CSV file."""
    lines, records = [], []
    for scan in scans:
        rows = dict.fromkeys(trial.row for trial in made if trial.scan == scan)
        for row in rows:
            same = [trial for trial in made if (trial.scan, trial.row) == (scan, row)]
            line, line_record = summary(scan, row, same)
            lines.append(line)
            records.append(line_record)
        lines += [reference_line(scan, name, known) for name, known in REFERENCES.get(scan, {}).items()]
    return lines, records


def results_table(made: Sequence[Trial], scans: Sequence[str], keys: Sequence[str]) -> str:
    """The rows that were run now, with some of the columns, as Markdown."""
    places = {key: (place, title) for place, (key, title, _) in enumerate(COLUMNS, start=3)}
    run = {(trial.scan, trial.row) for trial in made}
    lines = [line for line in table_lines(made, scans)[0] if (line[0], line[1]) in run]
    rows = [[*line[:3], *(line[places[key][0]] for key in keys)] for line in lines]
    return markdown_table(["scan", "row", "seeds", *(places[key][1] for key in keys)], rows)


def summary(scan: str, row: str, same: Sequence[Trial]) -> tuple[list[str], dict[str, Any]]:
    """A line of the table and one of the CSV file for trials that differ in their seed alone."""
    spreads = {key: spread_of([trial.values.get(key) for trial in same]) for key, _, _ in COLUMNS}
    seeds = ", ".join(str(trial.seed) for trial in same)
    flat = "; ".join(f"seed {trial.seed}: {' and '.join(trial.flat)}" for trial in same if trial.flat) or "no"
    cells = [cell(spreads[key], key, digits) for key, _, digits in COLUMNS]
    columns = {name: value for key, spread in spreads.items() for name, value in spread_columns(key, spread).items()}
    return [scan, row, seeds, *cells, flat], {
        "scan": scan,
        "network": row,
        "seeds": seeds,
        "collapsed": flat,
        **columns,
    }


def cell(spread: Any, key: str, digits: int) -> str:
    """A number with its spread; sizes of networks do not spread."""
    if spread is None:
        return ""
    return f"{spread.mean:.0f}" if key == "parameters" else spread.text(digits)


def reference_line(scan: str, name: str, known: dict[str, float]) -> list[str]:
    """A line of the table for an iterative reference that comes with the data."""
    cells = [f"{known[key]:.{digits}f}" if key in known else "" for key, _, digits in COLUMNS]
    return [scan, name, "", *cells, ""]


def halves(plan: Plan, name: str, choice: str, seed: int) -> list[tuple[str, float, float]]:
    """Phase and amplitude PSNR of a model from the left half and of the one from the whole scan, on the right half."""
    measured(plan, name, choice, seed)
    scan = ptychopinn.read_scan(plan.folder / f"{name}.npz")
    columns = scan.positions_px[:, 1]
    left = columns < np.median(columns)
    y0, y1, _, x1 = REGIONS[name]
    region = (y0, y1, int(np.ceil(columns[~left].min())), x1)
    trained_on_all = plan.run_folder(name, choice.partition("=")[0], seed)
    trained = ptychopinn.train(scan.select(left), trained_on_all / "left", plan.recipe(choice, seed), overwrite=True)
    other = ptychopinn.reconstruct(scan.select(~left), trained.paths["model"], trained_on_all / "right")
    both = ptychopinn.reconstruct(scan, trained_on_all, trained_on_all / "whole")
    return [
        (what, report["psnr_phase"], report["psnr_amplitude"])
        for what, image in (("trained on the other half", other), ("trained on the whole scan", both))
        for report in [ptychopinn.evaluate(image.reconstruction, scan, region=region).report]
    ]


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the scans")
    parser.add_argument("-o", "--output", type=Path, default=Path("outputs/quality"))
    parser.add_argument("--only", action="append", choices=[*REGIONS, *GRID_LINES], help="default: all in the folder")
    parser.add_argument("--architectures", default="cnn", metavar="NAME,...", help="architectures, or name=recipe")
    parser.add_argument("--seeds", default="0", metavar="N,...", help="seeds of initial weights and order")
    parser.add_argument("--iterative", type=int, metavar="EPOCHS", help="add a row of pty-chi's LSQML, if installed")
    parser.add_argument("--halves", action="store_true", help="compare the two halves instead")
    parser.add_argument("--refinement", metavar="ROW,...", help="rows of refinement.py instead, such as 3,4,5,6")
    parser.add_argument("--iterations", type=int, default=50, help="iterations of the refinement")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="section.key=value")
    add_results_option(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, write the tables and print them."""
    arguments = read_arguments()
    plan = Plan(arguments.folder, arguments.output, arguments.overrides)
    scans = arguments.only or [name for name in REGIONS if (plan.folder / f"{name}.npz").is_file()]
    if not scans:
        raise SystemExit(
            f"{plan.folder} must hold one of {', '.join(REGIONS)} as NPZ; `make data` simulates two of them"
        )
    choices, seeds = arguments.architectures.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.halves:
        for name in scans:
            for what, phase, amplitude in halves(plan, name, choices[0], seeds[0]):
                print(f"{name}, {what}: phase {phase:.2f} dB, amplitude {amplitude:.2f} dB", flush=True)
        return
    if arguments.iterative and not has_ptychi():
        print("pty-chi is not installed: no row of its solver")
        arguments.iterative = None
    made: list[Trial] = []
    if arguments.refinement:
        torch.set_num_threads(1)
        rows = arguments.refinement.split(",")
        for trial in refined(plan, rows, seeds, arguments.iterations, arguments.iterative):
            made.append(trial)
            print(f"{trial.scan} {trial.row} seed {trial.seed}: {trial.values['cpu_s']:.0f} CPU s", flush=True)
        report(plan, made, list(dict.fromkeys(trial.scan for trial in made)), arguments.results, REFINEMENT_COLUMNS)
        return
    for trial in trials(plan, scans, choices, seeds):
        made.append(trial)
        print(f"{trial.scan} {trial.row} seed {trial.seed}: {trial.values['train_s']:.0f} s", flush=True)
        write_tables(plan.output, made, scans)
    if arguments.iterative:
        made += [iterative(plan, name, arguments.iterative, seeds[0]) for name in scans if name in REGIONS]
    report(plan, made, scans, arguments.results, RESULT_COLUMNS)


def report(plan: Plan, made: Sequence[Trial], scans: Sequence[str], results: Path | None, keys: Sequence[str]) -> None:
    """Write and print the table, and the file of `--results`."""
    print(write_tables(plan.output, made, scans))
    if results is not None:
        record(results, results_table(made, scans, keys), "± is the standard deviation over the seeds.")


if __name__ == "__main__":
    main()
