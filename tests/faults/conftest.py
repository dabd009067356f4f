"""The library that makes operations on files fail."""

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faulty_io(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`faulty_io.c`, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("library") / "faulty_io.so"
    source = Path(__file__).with_name("faulty_io.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library
