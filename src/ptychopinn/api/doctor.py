"""`doctor`: whether this machine can run the package, and how fast, with a reconstruction as proof."""

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Literal, final

import torch

from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.simulate import simulate
from ptychopinn.data.device import choose_device
from ptychopinn.data.io import check_output_folder
from ptychopinn.errors import OutputError, PtychoPINNError

State = Literal["good", "note", "bad"]

NAMES = ("ptycho", "ptycho_torch")
"""Import names that legacy PtychoPINN has, too."""
NEEDED = ("torch", "lightning", "numpy", "scipy", "scikit-image", "h5py", "hdf5plugin", "matplotlib", "pydantic")
EXTRAS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tensorflow": (("tensorflow", "tensorflow-cpu"), ("keras",)),
    "neuraloperator": (("neuraloperator",),),
    "mlflow": (("mlflow-skinny", "mlflow"), ("SQLAlchemy",), ("alembic",)),
    "tensorboard": (("tensorboard",),),
    "wandb": (("wandb",),),
    "flows": (("prefect",),),
    "web": (("bokeh",),),
    "onnx": (("onnxruntime", "onnxruntime-gpu"), ("onnx",), ("onnxscript",)),
}
"""Extra of this package -> distributions that it needs, any one of each group; the version of the first is shown."""
SCAN = (
    "simulation.object_size_px=128",
    "simulation.probe_size_px=48",
    "simulation.step_px=5",
    "simulation.photons_per_pattern=1e6",
)
ITERATIONS = 15
LOWEST_PSNR_DB = 45.0
"""Of the phase of the self-test, peak 2 pi. The solver reaches 57 dB; four iterations less cost 5 dB."""
GPU_TOLERANCE = 1e-4
"""Relative difference of a Fourier transform in single precision from that of the CPU; rounding gives 1e-6."""
LITTLE_MEMORY_BYTES, LITTLE_DISK_BYTES = 4 << 30, 2 << 30
"""Below these a training of a usual scan, or its files, may not fit."""


@final
@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    text: str
    state: State = "good"
    """`bad` keeps the package from working; a `note` does not."""


@final
@dataclass(frozen=True)
class Examined:
    """What `doctor` found."""

    findings: tuple[Finding, ...]
    figure: Path | None
    """Of the self-test; None if it failed before it was drawn."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is bad."""
        return all(one.state != "bad" for one in self.findings)

    def entry(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "good": self.is_good,
            "findings": [asdict(one) for one in self.findings],
            "figure": None if self.figure is None else str(self.figure),
        }


def examine(output: str | Path | None = None) -> Examined:
    """Look at versions, memory, threads, GPU and write rights, and reconstruct a simulated scan.

    Args:
        output: folder for the files of the self-test; by default a new one among the temporary files.
    """
    findings = [*_versions(), *_machine(), *_devices(), *_folders()]
    tested, figure = _self_test(output)
    return Examined((*findings, tested), figure)


def _versions() -> Iterator[Finding]:
    yield Finding("ptychopinn", f"{version('ptychopinn')} in {Path(__file__).parents[1]}")
    yield Finding("python", f"{platform.python_version()} in {sys.executable}, {platform.platform()}")
    yield Finding("packages", ", ".join(f"{name} {version(name)}" for name in NEEDED))
    found = {extra: [_any_version(group) for group in groups] for extra, groups in EXTRAS.items()}
    missing = [extra for extra, versions in found.items() if None in versions]
    yield Finding(
        "extras", ", ".join(f"{extra} {found[extra][0]}" for extra in found if extra not in missing) or "none"
    )
    if missing:
        yield Finding("not installed", f"{', '.join(missing)}: pip install 'ptychopinn[NAME]'", "note")
    owners = packages_distributions()
    others = sorted({owner for name in NAMES for owner in owners.get(name, ()) if owner != "ptychopinn"})
    if others:
        text = f"{', '.join(others)} also has the import names {' and '.join(NAMES)}; use an environment of its own"
        yield Finding("conflict", text, "bad")


def _any_version(names: tuple[str, ...]) -> str | None:
    """Of the first distribution that is installed; None without any."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _machine() -> Iterator[Finding]:
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    given = os.environ.get("OMP_NUM_THREADS")
    why = f" (OMP_NUM_THREADS={given})" if given else ""
    unused = threads < cores / 2
    hint = "; --threads uses more" if unused else ""
    yield Finding("cpu", f"{cores} cores, {threads} threads used{why}{hint}", "note" if unused else "good")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    if memory:
        state: State = "note" if memory < LITTLE_MEMORY_BYTES else "good"
        yield Finding("memory", f"{memory / (1 << 30):.1f} GiB", state)


def _devices() -> Iterator[Finding]:
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            text = f"{facts.name}, {facts.total_memory / (1 << 30):.0f} GiB, CUDA {torch.version.cuda}"
            yield _checked_device(f"cuda:{number}", text)
    elif torch.backends.mps.is_available():
        yield _checked_device("mps", "Apple GPU")
    else:
        built = f"PyTorch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "PyTorch is built for CPUs"
        yield Finding("gpu", f"none found ({built}); everything runs on the CPU", "note")


def _checked_device(name: str, text: str) -> Finding:
    """A GPU, with the difference of a Fourier transform from that of the CPU."""
    field = torch.randn(64, 64, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    expected = torch.fft.fft2(field)
    try:
        apart = float((torch.fft.fft2(field.to(name)).cpu() - expected).abs().max() / expected.abs().max())
    except (RuntimeError, NotImplementedError) as error:
        return Finding(name, f"{text}: cannot compute ({str(error).splitlines()[0]}); use --device cpu", "bad")
    if apart > GPU_TOLERANCE:
        return Finding(name, f"{text}: a Fourier transform is wrong by {apart:.1g}; use --device cpu", "bad")
    return Finding(name, text)


def _folders() -> Iterator[Finding]:
    for name, folder in (("this folder", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        try:
            check_output_folder(folder)
        except OutputError as error:
            yield Finding(name, str(error), "note" if name == "this folder" else "bad")
            continue
        free = shutil.disk_usage(folder).free
        state: State = "note" if free < LITTLE_DISK_BYTES else "good"
        yield Finding(name, f"{folder} can be written, {free / (1 << 30):.1f} GiB free", state)


def _self_test(output: str | Path | None) -> tuple[Finding, Path | None]:
    """Simulate a scan, reconstruct it by the solver on the device that would be chosen, and compare the phase."""
    name, started = "self-test", time.perf_counter()
    try:
        folder = Path(tempfile.mkdtemp(prefix="ptychopinn-doctor-")) if output is None else check_output_folder(output)
        scan = simulate(folder / "scan.npz", overrides=SCAN).scan
        made = reconstruct(scan, None, folder, refine=ITERATIONS)
    except (PtychoPINNError, OSError, RuntimeError) as error:
        return Finding(name, f"failed: {error}", "bad"), None
    psnr = float(made.metrics["reference"]["psnr_phase"])
    speed = len(scan) * ITERATIONS / max(made.metrics["timings"]["refine_s"], 1e-9)
    took = time.perf_counter() - started
    text = (
        f"{len(scan)} simulated patterns on {choose_device('auto')}: phase PSNR {psnr:.1f} dB, "
        f"{speed:.0f} patterns per second and iteration, {took:.1f} s in all"
    )
    good = psnr >= LOWEST_PSNR_DB
    if not good:
        text += f"; it must be {LOWEST_PSNR_DB:.0f} dB or more: please report this with {folder}"
    return Finding(name, text, "good" if good else "bad"), made.paths["figure"]
