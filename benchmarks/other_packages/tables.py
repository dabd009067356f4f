"""The tables of the comparison, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from other_packages.interface import Method
from ptychopinn.studies.spread import markdown_table

Rows = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
"""Of a scan and a method: values, one for each CPU time."""


def simulated_table(rows: Rows, doses: Mapping[str, float], methods: Sequence[str]) -> str:
    """Amplitude / phase PSNR and scale: means over the objects that every method has done."""
    times = [value["at"] for value in next(iter(rows.values()))]
    lines = []
    for dose in dict.fromkeys(doses.values()):
        scans = _complete(rows, doses, dose, methods)
        for method in methods if scans else []:
            cells = [_cell([rows[scan, method][place] for scan in scans]) for place in range(len(times))]
            lines.append([f"{dose:.0e}", str(len(scans)), method, *cells])
    return markdown_table(["photons", "objects", "method", *(f"{at:g} s" for at in times)], lines)


def ahead_table(rows: Rows, doses: Mapping[str, float], methods: Sequence[str], ours: str) -> str:
    """How far one method is ahead of the best other package in amplitude and in phase, for each dose and time."""
    times = [value["at"] for value in next(iter(rows.values()))]
    others = [method for method in methods if not method.startswith(ours)]
    lines = []
    for dose in dict.fromkeys(doses.values()):
        scans = _complete(rows, doses, dose, methods)
        for place, at in enumerate(times if scans else []):
            lines.append([f"{dose:.0e}", f"{at:g} s"])
            for key in ("psnr_amplitude", "psnr_phase"):
                mean = {name: float(np.mean([rows[scan, name][place][key] for scan in scans])) for name in methods}
                best = max(others, key=mean.__getitem__)
                leads = [
                    rows[scan, ours][place][key] - max(rows[scan, name][place][key] for name in others)
                    for scan in scans
                ]
                count = sum(lead > 0 for lead in leads)
                lines[-1] += [f"{mean[ours] - mean[best]:+.1f} dB ({best})", f"{count} of {len(scans)}"]
    head = ["photons", "CPU time", "amplitude, ahead of the best other", "scans", "phase, ahead", "scans"]
    return markdown_table(head, lines)


def halves_table(rows: Rows, scan: str, methods: Sequence[str]) -> str:
    """Agreement of two halves and deviance of held-out patterns."""
    times = [value["at"] for value in next(value for (name, _), value in rows.items() if name == scan)]
    lines = []
    for method in methods:
        values = rows.get((scan, method))
        if values is not None:
            cells = [f"{v['psnr_amplitude']:.1f} / {v['psnr_phase']:.1f}" for v in values]
            lines.append([method, *cells, *(f"{v['held_out_deviance']:.3f}" for v in values)])
    heads = [f"agreement, {at:g} s" for at in times] + [f"held-out deviance, {at:g} s" for at in times]
    return markdown_table(["method", *heads], lines)


def methods_table(methods: Sequence[Method], imports: Mapping[str, float]) -> str:
    """What was run: versions, settings, CPU seconds of the import."""
    lines = [[m.name, f"{m.package} {m.version}", m.settings, f"{imports[m.module]:.1f}"] for m in methods]
    return markdown_table(["method", "package", "settings", "import, CPU s"], lines)


def _complete(rows: Rows, doses: Mapping[str, float], dose: float, methods: Sequence[str]) -> list[str]:
    """Scans of a dose on which every method has run."""
    return [name for name, own in doses.items() if own == dose and all((name, method) in rows for method in methods)]


def _cell(values: Sequence[Mapping[str, Any]]) -> str:
    """Means; with the CPU seconds where they are not those of the column."""
    amplitude, phase, scale, cpu_s = (
        float(np.mean([value[key] for value in values])) for key in ("psnr_amplitude", "psnr_phase", "scale", "cpu_s")
    )
    late = f" after {cpu_s:.1f} s" if abs(cpu_s / values[0]["at"] - 1) > 0.25 else ""
    return f"{amplitude:.1f} / {phase:.1f} ({scale:.2f}){late}"
