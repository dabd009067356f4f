"""The contact sheet shows every scan with its verdict or its error, small."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ptychopinn.plotting.contact_sheet import LARGEST_PX, Thumbnail, figure_contact_sheet
from ptychopinn.plotting.heading import COLOURS


def thumbnail(name: str, shape: tuple[int, int] = (40, 30), level: str = "fits") -> Thumbnail:
    rng = np.random.default_rng(0)
    coverage = np.zeros(shape)
    coverage[5:-5, 5:-5] = 1
    return Thumbnail.of(name, np.exp(1j * rng.normal(size=shape)), coverage, level)  # type: ignore[arg-type]


def test_each_scan_has_two_panels_and_its_verdict_or_its_error() -> None:
    scans = [
        thumbnail("one"),
        thumbnail("two", level="does not fit"),
        Thumbnail.missing("three", "failed", "it is torn"),
    ]
    figure = figure_contact_sheet(scans, title="Campaign", facts="3 scans")
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts]
    assert len(ax.images) == 4
    assert texts == ["one", "fits", "two", "does not fit", "three", "failed", "it is torn"]
    bands = [patch for patch in ax.patches if patch.get_gid() == "verdict"]
    assert [to_hex(band.get_facecolor()) for band in bands[:2]] == [COLOURS["fits"][0], COLOURS["does not fit"][0]]
    assert {text.get_text() for text in figure.texts} >= {"Campaign", "3 scans"}
    width, height = figure.get_size_inches()
    for image in ax.images:
        left, right, bottom, top = image.get_extent()
        assert 0 < left < right < width
        assert 0 < top < bottom < height
        assert (bottom - top) / (right - left) == pytest.approx(30 / 20)
    assert all(image.get_zorder() > -1 for image in ax.images)  # the ground of a panel is at -1


def test_large_objects_are_small_and_uncovered_pixels_are_not_shown() -> None:
    one = thumbnail("large", (1000, 700))
    for values, _, _ in one.panels:
        assert max(values.shape) <= LARGEST_PX
    holes = np.ones((30, 30))
    holes[10:20, 10:20] = 0
    masked = Thumbnail.of("holes", np.ones((30, 30), complex), holes, None)
    assert masked.label == "no verdict"
    assert all(values.mask.sum() == 100 for values, _, _ in masked.panels)


@pytest.mark.parametrize("count", [1, 61, 301])
def test_the_page_holds_any_number_of_scans(count: int) -> None:
    figure = figure_contact_sheet([Thumbnail.missing("x" * 80, "failed", "")] * count, title="", facts="")
    width, height = figure.get_size_inches()
    names = [text for text in figure.axes[0].texts if text.get_text().startswith("x")]
    assert len(names) == count
    assert all(text.get_text().endswith("…") for text in names)
    assert max(text.get_position()[1] for text in names) < height
    assert count == 1 or 1 < width / height < 2
