"""A reconstruction keeps what its scan's file said of the instrument."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ptychopinn.config import ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.reconstruction import CARRIED
from ptychopinn.models import PatchModel
from ptychopinn.reconstruction.predict import predict_and_stitch


def test_a_reconstruction_keeps_the_instrument_of_its_scan(scan: Scan, make_model: Callable[..., PatchModel]) -> None:
    metadata = {name: float(index) for index, name in enumerate(CARRIED)} | {"operator": "nobody"}
    geometry = Geometry(8800.0, 1.75, 75e-6, 0.1, propagation="far_field")
    told = replace(scan, metadata=metadata, geometry=geometry)
    alone = np.arange(len(told))[:, None]
    result, _ = predict_and_stitch(make_model(told), ScanTensors(told), alone, ReconstructionConfig())
    assert result.geometry == geometry
    assert {name: result.metadata[name] for name in CARRIED} == {name: metadata[name] for name in CARRIED}
    assert "operator" not in result.metadata
