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
from ptychopinn.errors import OutputError, ScanError, one_line
from ptychopinn.web import text
from ptychopinn.web.page import Page
from ptychopinn.web.patterns import correlation_of
from ptychopinn.web.reader import Reader, Source
from ptychopinn.web.results import result_paths

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
        ScanError: a folder holds no result, or several; a file holds no image.
        OutputError: the file cannot be written.
    """
    target = Path(target)
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{target}: must end in .html; give the name of the file, as in --static report.html")
    check_regular(target)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: its folder does not exist; create it first")
    given = [*scans, *[None] * (len(outputs) - len(scans))]
    sources = [Source(Path(path), name, scan) for path, name, scan in zip(outputs, names, given, strict=True)]
    reader = Reader(sources, MAP_BYTES // (PIXEL_BYTES * len(sources)))
    for source in sources:
        _check_single(source.path)
    every = [reader.known(source.path, source, source.name) for source in sources]
    results = [one.result for one in every]
    page = Page(len(results))
    page.show(results, [one.maps for one in every])
    missing = []
    for view, known in zip(page.views, every, strict=True):
        name, patterns = known.result.name, known.patterns
        if known.result.image is None or patterns is None:
            missing.append(f"{name}: there is no image")
            continue
        reader.load(known)
        reader.measure(known)
        if patterns.ratio is None:
            missing.append(one_line(f"{name}: no patterns and no misfit: {known.fault}"))
            view.pattern_text.text = text.warning(known.fault)
            continue
        view.show_ratio(patterns.ratio)
        size = known.result.image.probe.shape[-1]
        count = PATTERN_BYTES // (STORED_BYTES * size**2 * len(results))
        fits = patterns.fits(patterns.selection(min(max(count, 3), MOST_STORED)))
        view.store(fits)
        worst = max(fits, key=lambda one: one.ratio)
        view.show_pattern(worst)
        view.show_correlation(known.correlation)
        if len(fits) < len(patterns):
            missing.append(f"{name}: {len(fits)} of {len(patterns)} patterns, those at the ringed positions")
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


def _check_single(path: Path) -> None:
    """Refuse what is not one result.

    Raises:
        ScanError: a folder holds none, or several.
    """
    found = result_paths(path)
    if not found:
        raise ScanError(f"{path}: holds no result; give the output folder of run, reconstruct, train or watch")
    if len(found) > 1 or found[0] != path:
        raise ScanError(
            f"{path}: holds {len(found)} results in folders below it; give one or two of them to --static, such as "
            f"{found[0]}"
        )
