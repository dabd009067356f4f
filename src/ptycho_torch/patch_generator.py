"""Groups of neighbouring scan points, in the layout of the PyTorch contract: pairs are [x, y], channels second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho_torch.to_recipe import recipe_of
from ptychopinn.config import DataConfig as CoreDataConfig
from ptychopinn.data import make_groups
from ptychopinn.data.neighbors import find_candidates


def get_neighbor_indices(
    xcoords: NDArray[Any], ycoords: NDArray[Any], data_config: Any, K: int | None = None
) -> NDArray[np.int64]:
    """(N, K): neighbours of every scan point (x, y), px, best first, by the rule of the settings; short rows end in -1.

    `data_config` is a `DataConfig`, or a mapping of its fields; its K holds where none is given.
    """
    config, positions = _core(data_config, xcoords, ycoords)
    return find_candidates(positions, config, K or config.neighbors or config.group_size - 1).index


def group_coords(
    xcoords: NDArray[Any], ycoords: NDArray[Any], data_config: Any
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices (n, C) and coordinates (n, C, 1, 2) of groups of C scan points, a seed point first in each.

    Raises:
        ValueError: too few points, or too few neighbours within reach.
    """
    config, positions = _core(data_config, xcoords, ycoords, len(xcoords))
    seed = recipe_of(data_config, {}, {}, {}).training.seed
    index = make_groups(positions, config, np.random.default_rng(seed)).index
    return index, positions[index][:, :, None, ::-1]


def get_relative_coords(coords_nn: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Group centres (n, 1, 1, 2), and coordinates (n, C, 1, 2) relative to them: centre minus point.

    >>> center, relative = get_relative_coords(np.array([[[[1.0, 0.0]], [[3.0, 0.0]]]]))
    >>> center.ravel().tolist(), relative[0, :, 0].tolist()
    ([2.0, 0.0], [[1.0, 0.0], [-1.0, 0.0]])
    """
    center = coords_nn.mean(axis=1, keepdims=True)
    return center, center - coords_nn


def _core(
    data_config: Any, xcoords: NDArray[Any], ycoords: NDArray[Any], n_patterns: int | None = None
) -> tuple[CoreDataConfig, NDArray[np.float64]]:
    positions = np.stack([ycoords, xcoords], axis=1).astype(np.float64)
    return recipe_of(data_config, {}, {}, {}, n_patterns=n_patterns).data, positions
