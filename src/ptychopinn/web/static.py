"""The page as one file that opens without a server and without a network."""

import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from bokeh.core.templates import get_env
from bokeh.embed import file_html
from bokeh.resources import INLINE
from jinja2 import Template

from ptychopinn.data.io.atomic import check_regular, write_text_atomically
from ptychopinn.errors import OutputError, PtychoPINNError, ScanError, one_line
from ptychopinn.web import text
from ptychopinn.web.maps import maps_of
from ptychopinn.web.page import Page
from ptychopinn.web.patterns import Patterns, correlation_of
from ptychopinn.web.results import Result, check_named, read_result, result_paths

logger = logging.getLogger("ptychopinn")
MAP_BYTES, PATTERN_BYTES = 18 * 2**20, 8 * 2**20
"""For the maps and for the patterns of all results in a file. With 1.4 MB of scripts the file stays below 30 MB, which
browsers open in some seconds."""
PIXEL_BYTES = 48
"""Of an element of the maps in text (base64): up to nine arrays of four bytes."""
STORED_BYTES = 16
"""The same of a pixel of a pattern: measured, modelled, residual."""
MOST_STORED = 100
"""Patterns of a result: more rings could not be told apart."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses every request of the page. The scripts of Bokeh compile functions."""


def template() -> Template:
    """The frame of the page."""
    return get_env().from_string((files("ptychopinn.web") / "page.html").read_text(encoding="utf-8"))


def title_of(names: Sequence[str]) -> str:
    """Of the page."""
    return f"PtychoPINN: {', '.join(names)}"


def write_page(
    outputs: Sequence[str | Path], target: str | Path, names: Sequence[str], scans: Sequence[Path | None] = ()
) -> list[str]:
    """Write the page of some results as one HTML file.

    A click shows the pattern of those positions that are ringed: the best, median and worst fit and others evenly
    through the scan, as many as 8 MiB of patterns are.

    Args:
        outputs: folders of one result each, or reconstructions.
        target: file `.html`.
        names: of the results, as the page shows them.
        scans: file of the scan of each result, instead of the one that the result names.

    Returns:
        What is not on the page, one sentence each.

    Raises:
        ScanError: a folder holds no result, or several.
        OutputError: the file cannot be written.
    """
    target = Path(target)
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{target}: must end in .html; give the name of the file, as in --static report.html")
    check_regular(target)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: its folder does not exist; create it first")
    results = [_only_result(Path(path), name) for path, name in zip(outputs, names, strict=True)]
    page = Page(len(results))
    most = MAP_BYTES // (PIXEL_BYTES * len(results))
    page.show(results, [None if one.image is None else maps_of(one.image, most) for one in results])
    missing = []
    for number, (view, result) in enumerate(zip(page.views, results, strict=True)):
        if result.image is None:
            missing.append(f"{result.name}: there is no image")
            continue
        scan = scans[number] if number < len(scans) else None
        patterns = Patterns(result, scan)
        try:
            patterns.load()
        except PtychoPINNError as error:
            missing.append(one_line(f"{result.name}: no patterns and no misfit: {error}"))
            view.pattern_text.text = text.warning(str(error))
            continue
        patterns.measure()
        assert patterns.ratio is not None
        view.show_ratio(patterns.ratio)
        size = result.image.probe.shape[-1]
        count = PATTERN_BYTES // (STORED_BYTES * size**2 * len(results))
        fits = patterns.fits(patterns.selection(min(max(count, 3), MOST_STORED)))
        view.store(fits)
        worst = max(fits, key=lambda one: one.ratio)
        view.show_pattern(worst)
        view.show_correlation(patterns.ring_correlation())
        if len(fits) < len(patterns):
            missing.append(f"{result.name}: {len(fits)} of {len(patterns)} patterns, those at the ringed positions")
    if len(results) == 2:
        page.views[0].show_correlation(correlation_of(results[0], results[1]))
    html = file_html(
        page.root,
        INLINE,
        title_of([one.name for one in results]),
        template=template(),
        template_variables={"policy": POLICY},
    )
    write_text_atomically(target, html)
    return missing


def _only_result(path: Path, name: str) -> Result:
    """The result in a folder.

    Raises:
        ScanError: there is none, or there are several.
    """
    check_named(path)
    found = result_paths(path)
    if not found:
        raise ScanError(f"{path}: holds no result; give the output folder of run, reconstruct, train or watch")
    if len(found) > 1 or found[0] != path:
        raise ScanError(
            f"{path}: holds {len(found)} results in folders below it; give one or two of them to --static, such as "
            f"{found[0]}"
        )
    return read_result(path, name)
