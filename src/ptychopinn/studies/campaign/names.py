"""Names of the folders of results: plain ones, each given once."""

from collections.abc import Container
from hashlib import blake2b

LONGEST = 60
"""Characters of a name before its digest; file systems take 255 bytes, and a character takes up to 4."""
LONGEST_ADDED = 134
"""Characters that `free_name` adds at most: a digest in full, of which 8 are enough nearly always."""
_RESERVED = frozenset({"campaign", "table", "contact_sheet", "con", "prn", "aux", "nul"})
"""First parts of names that the files of the campaign have, or that Windows refuses."""


def plain_name(text: str) -> str:
    """A text as the name of a folder: letters, digits, `.`, `-` and `_`, without a dot at its beginning or end.

    >>> plain_name("../of Monday.7"), plain_name("...")
    ('_of_Monday.7', 'scan')
    """
    kept = "".join(c if c.isalnum() or c in "._-" else "_" for c in text[:LONGEST]).strip(".")
    return kept or "scan"


def is_plain_name(name: object) -> bool:
    """Whether a name may be that of a folder of results.

    >>> is_plain_name("scan_1"), is_plain_name("../scan_1"), is_plain_name("/")
    (True, False, False)
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST + LONGEST_ADDED:
        return False
    return name.strip(".") == name and all(c.isalnum() or c in "._-" for c in name)


def free_name(wanted: str, path: str, taken: Container[str]) -> str:
    """A plain name that nobody has: the wanted one, or that with a digest of the path.

    Args:
        wanted: such as the name of the file.
        path: of the scan.
        taken: names that are given, in lower case (`str.casefold`): some file systems do not tell the cases apart.

    >>> free_name("a", "/x/a.npz", {"b"}), free_name("a", "/y/a.npz", {"a"})
    ('a', 'a-343144cf')
    """
    name = plain_name(wanted)
    if name.casefold().partition(".")[0] in _RESERVED:
        name = f"scan_{name}"
    if name.casefold() not in taken:
        return name
    digest = blake2b(path.encode()).hexdigest()
    lengths = range(8, len(digest) + 1, 8)
    return next(longer for n in lengths if (longer := f"{name}-{digest[:n]}").casefold() not in taken)
