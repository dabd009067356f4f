"""Targets for atheris, which changes files so that they reach new lines of the readers.

python tests/attacks/coverage_fuzz.py read_scan|load_bundle FOLDER [options of libFuzzer, such as -max_total_time=300]

FOLDER keeps the inputs that reached new lines, and holds valid ones to begin with. `make fuzz` runs both for five
minutes each. An input that ends in anything but a result or a sentence is written to `crash-...`.

The first byte of an input says what the others replace: 0 stands for the whole file, 1 and above for one member of an
archive, whose checksums are made right so that the readers get to see it.
"""

import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ptychopinn"]):
    import numpy as np
    import torch
    from corpus import bundle_with, sound_arrays, sound_bundle

    from ptychopinn.api.model_files import load_model
    from ptychopinn.data import read_scan, write_scan
    from ptychopinn.errors import PtychoPINNError

LONGEST = 2**17


def read_scan_target(work: Path) -> tuple[Callable[[bytes], object], list[bytes]]:
    """What reads an input as a scan, and valid inputs."""
    npz = work / "sound.npz"
    np.savez(npz, **sound_arrays())
    members = _members(npz)
    others = [write_scan(read_scan(npz), work / f"sound.{kind}") for kind in ("cxi", "h5")]

    def target(data: bytes) -> object:
        path = work / ("input.npz" if data[0] else "input.h5")
        if data[0] == 0:
            path.write_bytes(data[1:])
        else:
            name = list(members)[(data[0] - 1) % len(members)]
            with zipfile.ZipFile(path, "w") as archive:
                for one, content in (members | {name: data[1:]}).items():
                    archive.writestr(one, content)
        return read_scan(path)

    inputs = [b"\0" + path.read_bytes() for path in (npz, *others)]
    return target, inputs + [bytes([number]) + one for number, one in enumerate(members.values(), start=1)]


def load_bundle_target(work: Path) -> tuple[Callable[[bytes], object], list[bytes]]:
    """What reads an input as a bundle, and valid inputs."""
    sound = sound_bundle(work, "model.generator.width=2", "model.generator.levels=2")
    members = _members(sound)
    del members["manifest.json"]

    def target(data: bytes) -> object:
        path = work / "input.zip"
        if data[0] == 0:
            path.write_bytes(data[1:])
        else:
            bundle_with(sound, path, {list(members)[(data[0] - 1) % len(members)]: data[1:]})
        return load_model(path)

    inputs = [b"\0" + sound.read_bytes()]
    return target, inputs + [bytes([number]) + one for number, one in enumerate(members.values(), start=1)]


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def main() -> None:
    """Fuzz one target until the time is over."""
    name, folder, *options = sys.argv[1:]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    work = Path(tempfile.mkdtemp(prefix="ptychopinn-fuzz-"))
    target, inputs = {"read_scan": read_scan_target, "load_bundle": load_bundle_target}[name](work)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        target(data)
        if len(data) > LONGEST:
            raise ValueError(f"valid input {number} has {len(data)} bytes, and libFuzzer would cut it")
        (Path(folder) / f"valid-{number}").write_bytes(data)

    def one(data: bytes) -> None:
        try:
            target(data or b"\0")
        except PtychoPINNError as error:
            if not str(error).isprintable():
                raise ValueError(f"{error} is not printable") from error

    limits = [f"-max_len={LONGEST}", "-len_control=0", "-keep_seed=1", "-rss_limit_mb=3000", "-timeout=60"]
    arguments = [sys.argv[0], folder, *limits, *options]
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
