"""No module imports itself through others, not even inside a function or for types only."""

from collections.abc import Mapping, Set

import grimp  # import-linter installs it
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

PACKAGES = ("ptychopinn", "ptycho", "ptycho_torch")


def circles(imports: Mapping[str, Set[str]]) -> set[frozenset[str]]:
    """The groups of modules that import each other, directly or through others of the group."""
    names = sorted(imports)
    matrix = np.array([[target in imports[name] for target in names] for name in names])
    _, labels = connected_components(matrix, directed=True, connection="strong")
    groups = [frozenset(np.array(names)[labels == label].tolist()) for label in range(labels.max() + 1)]
    return {group for group in groups if len(group) > 1}


def test_no_circles() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}

    assert len(imports) > 200
    assert circles(imports) == set()


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, {frozenset("ab")}),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, {frozenset("abc"), frozenset("de")}),
    ],
)
def test_a_circle_is_found(imports: dict[str, set[str]], expected: set[frozenset[str]]) -> None:
    assert circles(imports) == expected
