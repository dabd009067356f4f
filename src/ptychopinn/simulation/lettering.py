"""A small raster font of its own, so that pictures of text need no font of the system and look the same everywhere."""

from collections.abc import Mapping
from textwrap import wrap
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.simulation.fields import Field

ROWS, COLUMNS = 7, 5
GAP_ROWS, GAP_COLUMNS = 2, 1
"""Between lines and between signs."""
FILLS = 0.88
"""Part of the picture that the text spans on its tighter axis."""
SMALLEST_DOT_PX = 1.0
"""Size of one dot of a sign below which text cannot be told from noise."""

_SIGNS = ("ABCDEFGHIJKLMNOPQ", "RSTUVWXYZ01234567", "89.,:-+=/*()!?'_ ")
_ART = """
.###. ####. .###. ####. ##### ##### .###. #...# .###. ..### #...# #.... #...# #...# .###. ####. .###.
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.## ##..# #...# #...# #...#
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.# ##..# #...# #...# #...#
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.# #.#.# #...# ####. #...#
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...# #..## #...# #.... #.#.#
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...# #..## #...# #.... #..#.
#...# ####. .###. ####. ##### #.... .###. #...# .###. .##.. #...# ##### #...# #...# .###. #.... .##.#

####. .#### ##### #...# #...# #...# #...# #...# ##### .###. ..#.. .###. .###. ...#. ##### .###. #####
#...# #.... ..#.. #...# #...# #...# #...# #...# ....# #...# .##.. #...# #...# ..##. #.... #.... ....#
#...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#. #..## ..#.. ....# ....# .#.#. ####. #.... ...#.
####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#.. #.#.# ..#.. ..##. ..##. #..#. ....# ####. ..#..
#.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#... ##..# ..#.. .#... ....# ##### ....# #...# ..#..
#..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #.... #...# ..#.. #.... #...# ...#. #...# #...# .#...
#...# ####. ..#.. .###. ..#.. #...# #...# ..#.. ##### .###. .###. ##### .###. ...#. .###. .###. .#...

.###. .###. ..... ..... ..... ..... ..... ..... ....# ..... ...#. .#... ..#.. .###. ..#.. ..... .....
#...# #...# ..... ..... .##.. ..... ..#.. ..... ....# ..#.. ..#.. ..#.. ..#.. #...# ..#.. ..... .....
#...# #...# ..... ..... .##.. ..... ..#.. ##### ...#. #.#.# .#... ...#. ..#.. ....# .#... ..... .....
.###. .#### ..... ..... ..... ##### ##### ..... ..#.. .###. .#... ...#. ..#.. ...#. ..... ..... .....
#...# ....# ..... .##.. .##.. ..... ..#.. ##### .#... #.#.# .#... ...#. ..#.. ..#.. ..... ..... .....
#...# ....# .##.. .##.. .##.. ..... ..#.. ..... #.... ..#.. ..#.. ..#.. ..... ..... ..... ..... .....
.###. .###. .##.. .#... ..... ..... ..... ..... #.... ..... ...#. .#... ..#.. ..#.. ..... ##### .....
"""


def _glyphs() -> Mapping[str, NDArray[np.float64]]:
    blocks = [block.splitlines() for block in _ART.strip().split("\n\n")]
    pictures = {
        sign: np.array([[dot == "#" for dot in row.split()[place]] for row in block], dtype=np.float64)
        for signs, block in zip(_SIGNS, blocks, strict=True)
        for place, sign in enumerate(signs)
    }
    return MappingProxyType(pictures)


GLYPHS = _glyphs()
"""Signs, each (7, 5), 1 where there is ink; small letters are drawn as capitals."""


def written(text: str, shape: tuple[int, int]) -> Field:
    """Text, centred and as large as the picture allows: 1 on the ink, 0 elsewhere, exact at the edges.

    Text of one line is broken between words where that makes it larger. A dot of the font becomes a square of any
    size; a pixel's value is the part of it that squares cover.

    Raises:
        ConfigError: a sign that the font does not have, nothing but blanks, or more text than pixels.

    >>> written("-", (11, 9))[5].round(2).tolist()  # five dots, each 1.38 px
    [0.0, 0.96, 1.0, 1.0, 1.0, 1.0, 1.0, 0.96, 0.0]
    """
    pages = [_page(lines) for lines in _breaks(text)]
    page = max(pages, key=lambda one: _dot(one, shape))
    dot = _dot(page, shape)
    if dot < SMALLEST_DOT_PX:
        raise ConfigError(
            f"object_text takes {page.shape[0]} x {page.shape[1]} dots, which leaves {dot:.2g} px for each on an "
            f"object of {shape[0]} x {shape[1]} px; shorten or break the lines, or raise object_size_px"
        )
    rows, columns = (_coverage(shape[axis], page.shape[axis], dot) for axis in (0, 1))
    return rows @ page @ columns.T


def _breaks(text: str) -> list[list[str]]:
    """The ways to break a text into lines: as given, or, for one line, to every width that words allow."""
    given = text.upper().splitlines()
    if len(given) != 1:
        return [given]
    return [given, *(wrap(given[0], width) for width in range(max(map(len, given[0].split()), default=1), len(text)))]


def _dot(page: NDArray[np.float64], shape: tuple[int, int]) -> float:
    return FILLS * min(shape[0] / page.shape[0], shape[1] / page.shape[1])


def _page(lines: list[str]) -> NDArray[np.float64]:
    """One element for each dot."""
    lines = [line.rstrip() for line in lines]
    unknown = sorted({sign for line in lines for sign in line} - set(GLYPHS))
    if unknown:
        raise ConfigError(
            f"object_text holds {' '.join(unknown)}, which the font does not have; it has A-Z 0-9 {_SIGNS[2][2:]}"
        )
    longest = max((len(line) for line in lines), default=0)
    if longest == 0:
        raise ConfigError("object_text is blank; give letters or digits")
    page = np.zeros((len(lines) * (ROWS + GAP_ROWS) - GAP_ROWS, longest * (COLUMNS + GAP_COLUMNS) - GAP_COLUMNS))
    for number, line in enumerate(lines):
        top, left = number * (ROWS + GAP_ROWS), (longest - len(line)) * (COLUMNS + GAP_COLUMNS) // 2
        for place, sign in enumerate(line):
            start = left + place * (COLUMNS + GAP_COLUMNS)
            page[top : top + ROWS, start : start + COLUMNS] = GLYPHS[sign]
    return page


def _coverage(pixels: int, dots: int, dot: float) -> NDArray[np.float64]:
    """(pixels, dots): the part of each pixel of an axis that each dot of centred text covers."""
    start = (pixels - dots * dot) / 2 + dot * np.arange(dots)
    pixel = np.arange(pixels)[:, None]
    return np.clip(np.minimum(pixel + 1, start + dot) - np.maximum(pixel, start), 0, None)
