"""Drawing distinct subsets, vectorised over many rows."""

from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray


def draw_subsets(rows: int, pool: int, size: int, repeats: int, rng: np.random.Generator | None) -> NDArray[np.int64]:
    """For each row `repeats` different subsets of `size` out of range(pool).

    Args:
        rows: independent draws.
        pool: K, what is chosen from.
        size: C, how many are chosen.
        repeats: subsets for each row, all different; at most K choose C.
        rng: None takes the first subsets in lexicographic order, the same for every row. Not used where
            there is nothing to choose (K = C).

    Returns:
        (rows, repeats, size), each subset in rising order.

    >>> draw_subsets(1, 4, 3, 2, None).tolist()
    [[[0, 1, 2], [0, 1, 3]]]
    """
    if rng is None or pool == size:
        return np.repeat(_first_subsets(pool, size, repeats)[None], rows, axis=0)
    if comb(pool, size) <= 4 * repeats:
        every = _first_subsets(pool, size, comb(pool, size))
        return every[np.argsort(rng.random((rows, len(every))), axis=1)[:, :repeats]]
    return _distinct_draws(rows, pool, size, repeats, rng)


def _first_subsets(pool: int, size: int, number: int) -> NDArray[np.int64]:
    return np.array(list(islice(combinations(range(pool), size), number)), np.int64).reshape(number, size)


def _distinct_draws(rows: int, pool: int, size: int, repeats: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw, then draw again where a row holds the same subset twice; more than 4 `repeats` subsets exist."""
    drawn = _random_subsets((rows, repeats), pool, size, rng)
    while repeats > 1:
        twice = _is_repeated(drawn)
        if not twice.any():
            break
        drawn[twice] = _random_subsets((int(twice.sum()),), pool, size, rng)
    return drawn


def _random_subsets(shape: tuple[int, ...], pool: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(np.argsort(rng.random((*shape, pool)), axis=-1)[..., :size], axis=-1)


def _is_repeated(drawn: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(rows, repeats): whether an earlier subset of the row is the same."""
    rows, repeats, size = drawn.shape
    keyed = np.concatenate([np.repeat(np.arange(rows), repeats)[:, None], drawn.reshape(-1, size)], axis=1)
    _, first = np.unique(keyed, axis=0, return_index=True)
    repeated = np.ones(rows * repeats, bool)
    repeated[first] = False
    return repeated.reshape(rows, repeats)
