"""One table and one contact sheet of all scans of a campaign."""

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ptychopinn.api.figure_content import today
from ptychopinn.api.reconstructed import RESULT
from ptychopinn.data.io import write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.plotting import save_figure
from ptychopinn.plotting.contact_sheet import Thumbnail, figure_contact_sheet
from ptychopinn.studies.campaign.ledger import SCORES, Entry

logger = logging.getLogger("ptychopinn.studies")
TABLE, SHEET = "table.csv", "contact_sheet"
COLUMNS = ("name", "state", "verdict", *SCORES, "workers_died", "message", "path")
PER_SHEET = 1000
"""Scans on one sheet; further ones are on `contact_sheet_2.png` and so on."""
_DPI = 100


def write_report(folder: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    """Write `table.csv` and `contact_sheet.png` of all scans of a campaign.

    Returns:
        `table`, `sheet`, and `sheet_2` and so on where there are more than `PER_SHEET`.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = {"table": write_text_atomically(folder / TABLE, _table(entries))}
    for number, first in enumerate(range(0, len(entries), PER_SHEET), 1):
        part = entries[first : first + PER_SHEET]
        name = "" if number == 1 else f"_{number}"
        title = f"Campaign {folder.resolve().name}"
        figure = figure_contact_sheet(
            list(_thumbnails(folder, part)), title=title, facts=f"{today()}   ·   {_facts(entries)}"
        )
        paths[f"sheet{name}"] = save_figure(figure, folder / f"{SHEET}{name}.png", dpi=_DPI)
    return paths


def _table(entries: Sequence[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in entries:
        scores = [one.result.get(key) for key in SCORES]
        message = one.error or one.result.get("message")
        writer.writerow((one.name, one.state, one.result.get("verdict"), *scores, one.deaths, message, one.path))
    return text.getvalue()


def _facts(entries: Sequence[Entry]) -> str:
    """Numbers of scans by verdict, or by state without one."""
    numbers = Counter(str(one.result.get("verdict") or one.state) for one in entries)
    return f"{len(entries)} scans: {', '.join(f'{count} {what}' for what, count in numbers.most_common())}"


def _thumbnails(folder: Path, entries: Sequence[Entry]) -> Iterator[Thumbnail]:
    for one in entries:
        if one.state != "done":
            yield Thumbnail.missing(one.name, one.state, one.error)
            continue
        try:
            image = Reconstruction.load(folder / one.name / f"{RESULT}.npz")
        except PtychoPINNError as error:
            logger.warning("%s: not on the contact sheet: %s", one.name, error)
            yield Thumbnail.missing(one.name, "no image", str(error))
            continue
        yield Thumbnail.of(one.name, image.object_, image.coverage, one.result.get("verdict"))
