"""Shapes checked while testing; where the test data lie, and what happens without them; small noise-free scans."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from jaxtyping import install_import_hook

install_import_hook("ptychopinn.physics", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
"""The shapes in the annotations of the physics are checked in this process, from its first import on."""

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PTYCHOPINN_TEST_DATA", ROOT.parent / "shared"))

OPTIONAL = (
    "ptychi",
    "neuralop",
    "cdtools",
    "tensorflow",
    "mlflow",
    "sqlalchemy",
    "tensorboard",
    "wandb",
    "prefect",
    "mkdocstrings",
    "latex2mathml",
    "onnx",
)
"""Packages that some tests need and the test environment does not have."""

NEED = {
    "ptychodus": ("tests/client", "tests/data/io/test_ptychodus_files.py", "tests/property/test_conversions.py"),
    "bokeh": ("tests/web",),
}
"""Packages that all tests of a folder or file need; they are not collected without it."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser that the tests of the page drive."""

TENSORFLOW = ROOT / "tests/tensorflow"
"""Its tests run in a process without the others: two frameworks in one would share threads and memory."""

_LEFT_OUT = pytest.StashKey[dict[str, dict[str, int]]]()
"""How many tests of which folder were left out, by reason."""


@pytest.fixture(scope="module", autouse=True)
def settings_of_the_process() -> Iterator[None]:
    """Reset the dictionary of `ptycho` and the log after each test file: the order of the files must not matter."""
    logger = logging.getLogger("ptychopinn")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
    if legacy := sys.modules.get("ptycho.params"):
        legacy.cfg.clear()
        legacy.cfg.update(legacy.DEFAULT_CFG)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what imports a package that is not installed; the header of the report names it."""
    missing = [name for package, names in NEED.items() if find_spec(package) is None for name in names]
    return any(collection_path == ROOT / name for name in missing) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs the test data where they are absent, and slow tests unless asked for."""
    dropped = {item: reason for item in items if (reason := _reason_to_leave_out(config, item))}
    counts: dict[str, dict[str, int]] = {}
    for item, reason in dropped.items():
        folder = item.path.relative_to(ROOT).parent.as_posix()
        counts.setdefault(reason, {}).setdefault(folder, 0)
        counts[reason][folder] += 1
    config.stash[_LEFT_OUT] = counts
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = counts
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def _reason_to_leave_out(config: pytest.Config, item: pytest.Item) -> str:
    """What a test needs and does not have; empty for a test that runs."""
    if item.get_closest_marker("slow") and "slow" not in config.getoption("markexpr"):
        return "slow; `pytest -m slow` runs them"
    if item.get_closest_marker("shared_data") and not (SHARED / "data").is_dir():
        return f"without test data; PTYCHOPINN_TEST_DATA must name a folder with data/ and parity/, got {SHARED}"
    if item.path.is_relative_to(TENSORFLOW) and not any("tensorflow" in argument for argument in config.args):
        return "in a process of its own: `pytest tests/tensorflow`"
    if item.get_closest_marker("chromium") and not any(which(name) for name in CHROMIUM):
        return f"without a browser; one of {', '.join(CHROMIUM)} must be installed"
    missing = [mark.args[0] for mark in item.iter_markers("optional") if find_spec(mark.args[0]) is None]
    return f"without the package {missing[0]}" if missing else ""


class _FromWorkers:
    """Takes the counts of a worker of pytest-xdist; all workers collect the same tests."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Keep the counts of a worker that ended well."""
        if "left_out" in (output := getattr(node, "workeroutput", {})):
            node.config.stash[_LEFT_OUT] = output["left_out"]


def pytest_configure(config: pytest.Config) -> None:
    """Listen to workers."""
    config.pluginmanager.register(_FromWorkers())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One visible line for each reason to leave tests out, with the numbers of tests by folder."""
    for reason, folders in config.stash.get(_LEFT_OUT, {}).items():
        where = ", ".join(f"{folder} {count}" for folder, count in sorted(folders.items()))
        terminalreporter.write_line(f"LEFT OUT: {sum(folders.values())} tests ({reason}): {where}", yellow=True)

    ended = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
    ]
    attacks = [value for report in ended for name, value in report.user_properties if name == "attacks"]
    if attacks:
        kinds = ", ".join(f"{kind} {count}" for kind, count in attacks)
        terminalreporter.write_line(f"ATTACKS: {sum(count for _, count in attacks)} ({kinds})")


def pytest_report_header(config: pytest.Config) -> str:
    """One visible line about the data, one about optional packages."""
    state = "found" if (SHARED / "data").is_dir() else "ABSENT: tests that need it are deselected"
    absent = [name for name in OPTIONAL if find_spec(name) is None]
    packages = f"optional packages: ABSENT, their tests are deselected: {', '.join(absent)}" if absent else ""
    for package, names in NEED.items():
        if find_spec(package) is None:
            packages += f"\nLEFT OUT, since {package} is not installed: {', '.join(names)}"
    return "\n".join([f"test data: {SHARED} {state} (PTYCHOPINN_TEST_DATA)", *([packages] if packages else [])])


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser; tests that ask for it are marked `chromium`."""
    return next(path for name in CHROMIUM if (path := which(name)))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with data/ and parity/."""
    return SHARED


@cache
def rectangular_scan(size: int = 16, modes: int = 1) -> Any:
    """Expected counts of an object with more rows than columns, at fractional positions."""
    from ptychopinn.config import SimulationConfig
    from ptychopinn.simulation import record_patterns, simulate

    config = SimulationConfig(object_size_px=60, probe_size_px=size, probe_modes=modes, step_px=5, seed=size)
    drawn = simulate(config)
    inside = drawn.positions_px[:, 1] < 44 - size // 2 - 2
    object_, positions = drawn.object_guess[:, :44].copy(), drawn.positions_px[inside]
    patterns = record_patterns(object_, drawn.probe, positions, None)
    return replace(drawn, patterns=patterns, positions_px=positions, object_guess=object_)


@pytest.fixture(scope="session")
def noise_free() -> Callable[..., Any]:
    """`noise_free(size=16, modes=1)`: a scan."""
    return rectangular_scan


@pytest.fixture(scope="session")
def scan() -> Any:
    """The usual one: 16 px, one mode."""
    return rectangular_scan()


@pytest.fixture(scope="session")
def smoothing_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a prior that is no trained one: it blurs, which takes noise off a smooth object."""
    import torch

    from ptychopinn.prior import Prior, PriorNetwork, PriorRecipe, PriorRecord, save_prior

    network = PriorNetwork(PriorRecipe(levels=1, width=4, noise_floor=1e-3))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for part in (0, 1):
            network.first.weight[part, 2 + part, 1, 1] = 1.0  # the contrast in sigma
            network.last.weight[part, part] = 0.8 / 9
            network.last.weight[part, part, 1, 1] -= 0.8
    record = PriorRecord(name="blur", trained_on="nothing", settings={"seed": 3}, scores={"gain": {"phase_dB": 1.5}})
    folder = tmp_path_factory.mktemp("prior")
    return save_prior(Prior(network.eval(), record, "blur"), folder / "blur.safetensors")


@pytest.fixture(scope="session")
def in_ranks() -> Callable[..., list[Any]]:
    """Calls a function with the `Ranks` of each of two ranks, which are threads of this process joined by gloo.

    What they return, in their order; the first error is raised.
    """
    from concurrent.futures import ThreadPoolExecutor
    from datetime import timedelta

    from torch import distributed

    from ptychopinn.errors import RankError
    from ptychopinn.ranks import Ranks

    def run(work: Callable[[Ranks], Any], count: int = 2) -> list[Any]:
        store = distributed.HashStore()

        def joined(index: int) -> Any:
            group = distributed.ProcessGroupGloo(store, index, count, timedelta(seconds=30))
            return work(Ranks(index, count, group))

        with ThreadPoolExecutor(count) as threads:
            pending = [threads.submit(joined, index) for index in range(count)]
        errors = [one.exception() for one in pending]
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, RankError)):
            raise error  # that of the rank that failed first, not of one that waited for it
        return [one.result() for one in pending]

    return run
