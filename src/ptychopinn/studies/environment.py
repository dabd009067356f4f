"""On what a study was run: a time without its hardware means nothing."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path


def environment(device: str) -> dict[str, str | int]:
    """Versions, processor, threads and the device of a run.

    Args:
        device: as in `training.device`.

    Returns:
        Plain JSON values.
    """
    import torch

    from ptychopinn.data.device import choose_device

    chosen = choose_device(device)
    return {
        "ptychopinn": version("ptychopinn"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type,
    }


def hardware_line(facts: dict[str, str | int]) -> str:
    """One line for the head of a table.

    >>> hardware_line({"processor": "A", "cores": 2, "threads": 1, "device": "cpu", "torch": "2"})
    'A, 2 cores, 1 threads, cpu, torch 2'
    """
    return "{processor}, {cores} cores, {threads} threads, {device}, torch {torch}".format(**facts)


def _processor() -> str:
    """The name that Linux gives, elsewhere that of the platform."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines() if listing.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
