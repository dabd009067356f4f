"""Install the wheel alone into a new environment, outside the checkout, and run what a new user runs first.

    python scripts/try_wheel.py python3.12
    python scripts/try_wheel.py python3.13 --wheel dist/ptychopinn-0.1.0-py3-none-any.whl --keep /tmp/tried

Each step prints its seconds and the last lines of its output. The first step that fails ends the script with exit code
1. Without `--wheel` it is built first. Packages come from where pip of that interpreter is set up to take them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"
"""As the README says, so that the build for CPUs is taken where pip finds one."""
SHOWN = 14
"""Last lines of each output."""
WHERE = "import ptychopinn, sys; print(sys.version.split()[0], ptychopinn.__version__, ptychopinn.__file__)"
COMMANDS = (
    "doctor -o doctor",
    "simulate -o scan.npz --set simulation.object_size_px=128 --set simulation.probe_size_px=48"
    " --set simulation.photons_per_pattern=1e4",
    "info scan.npz",
    "run scan.npz --config few_photons -o out --set training.epochs=3",
    "view out --static report.html",
)
SETTINGS_OF_OTHERS = ("PYTHONPATH", "PYTHONHOME", "PTYCHOPINN_TEST_DATA", "VIRTUAL_ENV")
LEAST_PAGE_BYTES = 1_000_000
"""Of report.html: the scripts of Bokeh alone have more."""


def main() -> None:
    """Read the command line and run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter, such as python3.12")
    parser.add_argument("--wheel", type=Path, help="wheel of the package; built if not given")
    parser.add_argument("--keep", type=Path, help="new folder for the environment and all outputs; else removed")
    parser.add_argument("--torch", default=TORCH, help=f"requirement that is installed first; default {TORCH}")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True)
        attempt(given.python, given.keep.resolve(), given.wheel, given.torch)
        return
    with tempfile.TemporaryDirectory(prefix="ptychopinn-wheel-") as folder:
        attempt(given.python, Path(folder), given.wheel, given.torch)


def attempt(python: str, folder: Path, wheel: Path | None, torch: str) -> None:
    """Build, install and run in a folder; exits at the first step that fails."""
    if wheel is None:
        run(folder, python, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(folder))
        (wheel,) = folder.glob("ptychopinn-*.whl")
    wheel = wheel.resolve()
    run(folder, python, "-m", "venv", "venv")
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    own = str(programs / "python")
    run(folder, own, "-m", "pip", "install", "--quiet", torch)
    run(folder, own, "-m", "pip", "install", "--quiet", f"{wheel}[web]")
    run(folder, own, "-m", "pip", "check")
    said = run(folder, own, "-c", WHERE)
    if str(folder) not in said:
        sys.exit(f"the package is not that of the new environment: {said}")
    for command in COMMANDS:
        run(folder, str(programs / "ptychopinn"), *command.split())
    page = folder / "report.html"
    if page.stat().st_size < LEAST_PAGE_BYTES:
        sys.exit(f"{page}: has only {page.stat().st_size} bytes")
    sys.stdout.write("all steps passed\n")


def run(folder: Path, *command: str) -> str:
    """Run a command in the folder, print what it took and said, and return its output."""
    sys.stdout.write(f"$ {' '.join(command)}\n".replace(str(folder), "."))
    sys.stdout.flush()
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_OTHERS}
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    took = time.perf_counter() - started
    last = [f"    {line}" for line in done.stdout.splitlines() if line.strip()][-SHOWN:]
    sys.stdout.write("\n".join([*last, f"    [{took:.1f} s, exit code {done.returncode}]"]) + "\n")
    sys.stdout.flush()
    if done.returncode:
        sys.exit(1)
    return done.stdout


if __name__ == "__main__":
    main()
