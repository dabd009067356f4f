"""Helpers of notebooks under the legacy names."""

from typing import Any

from numpy.typing import NDArray

from ptycho import params
from ptycho.loader import PtychoDataContainer
from ptycho.model import TrainedModel, session


def reconstruct_image(
    test_data: PtychoDataContainer, diffraction_to_obj: TrainedModel | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Patches (B, H, W, C) of a container and its global offsets, by a model or by that of the process.

    Args:
        test_data: groups of patterns.
        diffraction_to_obj: the model; that of the process by default.

    Raises:
        BundleError: there is no model.
    """
    model = session.held() if diffraction_to_obj is None else diffraction_to_obj
    patches = model.predict([test_data.X * params.get("intensity_scale"), test_data.local_offsets])
    return patches, test_data.global_offsets
