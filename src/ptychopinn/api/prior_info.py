"""`info` of a trained prior: its network, how it was trained, and what it scored."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from ptychopinn.errors import shown
from ptychopinn.prior import DEFAULT

if TYPE_CHECKING:
    from ptychopinn.prior import Prior

SUFFIX = ".safetensors"
MOST_LINES = 40
"""Lines of a record that are shown; a file may hold any number."""
DEEPEST = 4
"""Levels of a record that get lines of their own."""
_SHORT = Repr()
"""Shows values of a record, which may be of any size and depth."""


def is_prior(path: str | Path) -> bool:
    """Whether a path names a prior: a safetensors file, or `default` where no file has that name.

    >>> is_prior("mine.safetensors"), is_prior("default"), is_prior("scan.npz")
    (True, True, False)
    """
    return Path(path).suffix == SUFFIX or (str(path) == DEFAULT and not Path(path).exists())


def prior_rows(name_or_path: str | Path) -> list[tuple[str, str]]:
    """What a prior is, as pairs of a label and a text.

    Args:
        name_or_path: `default` for the one in this package, or a file.

    Raises:
        BundleError: no such file, or one that is damaged, too large, or no prior.
    """
    from ptychopinn.prior import load_prior

    prior = load_prior(name_or_path)
    rows = [("prior", shown(prior.name)), ("sha256", prior.sha256), ("weights", str(_weights(prior)))]
    rows += [(f"recipe: {name}", str(value)) for name, value in prior.recipe.model_dump().items()]
    record = list(_lines(dict(prior.record), ()))
    rows += [(shown(label), shown(text)) for label, text in record[:MOST_LINES]]
    if len(record) > MOST_LINES:
        rows.append(("", f"and {len(record) - MOST_LINES} more entries of the record"))
    return rows


def prior_entry(name_or_path: str | Path) -> dict[str, Any]:
    """The same as plain values.

    Raises:
        BundleError: no such file, or one that is damaged, too large, or no prior.
    """
    from ptychopinn.prior import load_prior

    prior = load_prior(name_or_path)
    return {
        "content": "prior",
        "prior": prior.name,
        "sha256": prior.sha256,
        "weights": _weights(prior),
        "recipe": prior.recipe.model_dump(mode="json"),
        "record": prior.record.model_dump(mode="json"),
    }


def _weights(prior: "Prior") -> int:
    return sum(parameter.numel() for parameter in prior.network.parameters())


def _lines(tree: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """A line for each value; what is empty is left out."""
    for name, value in tree.items():
        if isinstance(value, dict) and len(above) < DEEPEST:
            yield from _lines(value, (*above, str(name)))
        elif value not in ("", {}, []):
            yield ": ".join((*above, str(name))), value if isinstance(value, str) else _SHORT.repr(value)
