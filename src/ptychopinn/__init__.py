"""Ptychography by physics-informed networks: a scan goes in, a quantitative image comes out.

The commands `run`, `train`, `reconstruct`, `evaluate`, `simulate`, `info`, `check`, `convert`, `export` and the nouns
below are loaded when they are first used, so that `import ptychopinn` and `import ptychopinn.config` stay quick,
without torch.

>>> import ptychopinn
>>> scan = ptychopinn.simulate(overrides=["simulation.object_size_px=48", "simulation.probe_size_px=16"]).scan
>>> scan.patterns.shape[1:]
(16, 16)
"""

from typing import TYPE_CHECKING, Any

from ptychopinn.lazy import loads
from ptychopinn.notebook import FIGURES

if TYPE_CHECKING:
    from ptychopinn.api.check import check
    from ptychopinn.api.convert import convert
    from ptychopinn.api.evaluate import evaluate
    from ptychopinn.api.export import export
    from ptychopinn.api.info import info
    from ptychopinn.api.reconstruct import reconstruct
    from ptychopinn.api.run import run
    from ptychopinn.api.simulate import label_scan, simulate, simulate_multiple
    from ptychopinn.api.together import reconstruct_together
    from ptychopinn.api.train import train
    from ptychopinn.config import Recipe
    from ptychopinn.data import Scan, read_scan, write_scan
    from ptychopinn.data.geometry import Geometry
    from ptychopinn.data.reconstruction import Reconstruction
    from ptychopinn.errors import PtychoPINNError

    __version__: str

_HOME = {
    "run": "ptychopinn.api.run",
    "train": "ptychopinn.api.train",
    "reconstruct": "ptychopinn.api.reconstruct",
    "reconstruct_together": "ptychopinn.api.together",
    "evaluate": "ptychopinn.api.evaluate",
    "simulate": "ptychopinn.api.simulate",
    "simulate_multiple": "ptychopinn.api.simulate",
    "label_scan": "ptychopinn.api.simulate",
    "info": "ptychopinn.api.info",
    "check": "ptychopinn.api.check",
    "convert": "ptychopinn.api.convert",
    "export": "ptychopinn.api.export",
    "Recipe": "ptychopinn.config",
    "Geometry": "ptychopinn.data.geometry",
    "Scan": "ptychopinn.data",
    "read_scan": "ptychopinn.data",
    "write_scan": "ptychopinn.data",
    "Reconstruction": "ptychopinn.data.reconstruction",
    "PtychoPINNError": "ptychopinn.errors",
}

FIGURES["Scan"] = "ptychopinn.plotting.scan_figure:figure_scan"
FIGURES["Reconstruction"] = "ptychopinn.api.figure_content:figure_of_image"

__all__ = [
    "Geometry",
    "PtychoPINNError",
    "Recipe",
    "Reconstruction",
    "Scan",
    "__version__",
    "check",
    "convert",
    "evaluate",
    "export",
    "info",
    "label_scan",
    "read_scan",
    "reconstruct",
    "reconstruct_together",
    "run",
    "simulate",
    "simulate_multiple",
    "train",
    "write_scan",
]

_load = loads(globals(), _HOME)


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives, once."""
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = version("ptychopinn")
        return globals()[name]
    return _load(name)


def __dir__() -> list[str]:
    """The public names and nothing else; private ones and modules can still be imported."""
    return sorted(__all__)
