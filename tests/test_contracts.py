"""The walls of the house: who imports whom, and what an import may cost."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ptychopinn

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "lightning", "matplotlib", "scipy", "skimage", "h5py")


def test_layers_and_forbidden_imports() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def loaded_by(statement: str) -> set[str]:
    """Which heavy packages a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import ptychopinn", "import ptychopinn.config", "from ptychopinn import Recipe"]
)
def test_configuration_is_light(statement: str) -> None:
    assert loaded_by(statement) == set()


def test_simulation_needs_no_lightning() -> None:
    assert "lightning" not in loaded_by("from ptychopinn import simulate, info, read_scan")


@pytest.mark.parametrize("name", ptychopinn.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(ptychopinn, name) is not None
    assert name in dir(ptychopinn)


def test_only_public_names_are_listed() -> None:
    assert dir(ptychopinn) == sorted(ptychopinn.__all__)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reconstrukt'"):
        ptychopinn.reconstrukt  # noqa: B018


def test_every_module_under_src_is_small_enough_to_read() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "src").rglob("*.py")}

    assert max(lengths.values()) < 500, max(lengths, key=lambda path: lengths[path])


OPENERS = {
    r"h5py\.File\(": {"data/io/door.py", "data/io/hdf5_references.py", "data/io/stored.py"},
    r"\bnp\.load\(|numpy\.load\(|np\.memmap\(|open_memmap\(|np\.fromfile\(": set(),
    r"\bZipFile\(": {"data/io/door.py", "bundle/archive.py", "bundle/checkpoint.py"},
    r"torch\.load\(": {"bundle/checkpoint.py"},
    r"pickle\.loads?\(|dill|joblib|yaml\.unsafe_load|allow_pickle=True": set(),
    r"\w\[\(\)\]": {"data/io/hdf5.py", "data/io/hdf5_references.py", "data/io/hdf5_sizes.py"},
}
"""How files are opened, and the modules of the package that may do so: `data.io.door` for those of users. It checks all
references to other files before `data.io.stored` opens those that virtual datasets take values from. Whole datasets are
read in `data.io.hdf5`, and on trial in child processes."""


NAMES_OF_EARLIER_FILES = re.compile(r"(manifest|params)\.dill|\"dill\._dill\"")
"""Files in archives of the earlier implementation, and what they name; they are read without being executed."""


@pytest.mark.parametrize("pattern", OPENERS)
def test_files_are_opened_at_one_place(pattern: str) -> None:
    package = ROOT / "src" / "ptychopinn"
    found = {
        path.relative_to(package).as_posix() if path.is_relative_to(package) else str(path)
        for path in (ROOT / "src").rglob("*.py")
        if re.search(pattern, NAMES_OF_EARLIER_FILES.sub("", path.read_text()))
    }

    assert found == OPENERS[pattern]
