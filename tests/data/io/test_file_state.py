"""A healthy file that is open elsewhere, or was not closed, is said to be that and not damaged."""

import subprocess
import sys

import h5py
import pytest

from ptychopinn.data import read_scan
from ptychopinn.errors import ScanError

HOLDS = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
DIES = "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver='latest'); f['a'] = [1]; f.swmr_mode = True; f.flush(); os._exit(0)"  # noqa: E501


def test_a_file_that_another_program_writes(tmp_path) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["patterns"] = [1]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(ScanError, match=r"another program has the file open.*wait.*HDF5_USE_FILE_LOCKING=FALSE"):
            read_scan(path)
        holder.stdin.close()


def test_a_file_whose_writer_died(tmp_path) -> None:
    path = tmp_path / "swmr.h5"
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=True)
    with pytest.raises(ScanError, match=r"was not closed by the program that wrote it.*h5clear"):
        read_scan(path)
