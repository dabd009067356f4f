"""The texts of the page as HTML; everything that comes from a file is escaped."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ptychopinn.api.metric_rows import metric_rows
from ptychopinn.errors import one_line, shown
from ptychopinn.metrics.collapse import reference_warnings
from ptychopinn.metrics.transmission import transmission_warning
from ptychopinn.plotting.heading import COLOURS
from ptychopinn.studies.campaign.ledger import SCORES, Entry
from ptychopinn.web.results import Result, changed_settings

STYLE = """
:host { font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #20242c; }
h2 { font-size: 18px; margin: 12px 0 2px; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 14px 0 4px; }
p { margin: 3px 0; }
.facts { color: #565c66; }
.verdict { padding: 7px 10px; border-radius: 4px; margin: 6px 0; }
.warning { border-left: 4px solid #b3261e; padding: 2px 10px; margin: 5px 0; background: #fbeceb; }
table { border-collapse: collapse; font-size: 13px; }
th { text-align: left; font-weight: 600; }
th, td { padding: 2px 14px 2px 0; vertical-align: top; border-bottom: 1px solid #dfe3e8; overflow-wrap: anywhere; }
details { margin: 6px 0; }
summary { cursor: pointer; font-weight: 600; }
pre { font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; margin: 4px 0; }
"""
MOST_WARNINGS = 20


def heading(result: Result) -> str:
    """Name, method, sizes, verdict and warnings of a result."""
    parts = [f"<h2>{escape(shown(result.name))}</h2>", f'<p class="facts">{escape("   ·   ".join(_facts(result)))}</p>']
    verdict = _verdict(result)
    if verdict is not None:
        level, message = verdict
        ground, ink = next((pair for name, pair in COLOURS.items() if name == level), ("#dfe3e8", "#20242c"))
        parts.append(
            f'<p class="verdict" style="background:{ground};color:{ink}"><b>{escape(shown(level))}</b>: '
            f"{escape(one_line(message))}</p>"
        )
    parts += [f'<p class="warning">{escape(one_line(text))}</p>' for text in warnings(result)[:MOST_WARNINGS]]
    return "\n".join(parts)


def warnings(result: Result) -> list[str]:
    """What a person has to know of a result beside its verdict, and what could not be read."""
    tree = result.metrics
    found = list(result.faults)
    if result.image is not None and "interrupted" in result.image.metadata:
        found.append("The solver was interrupted: this is the image so far.")
    notes = tree.get("scan_problems")
    found += [str(note) for note in notes] if isinstance(notes, list) else []
    found += _of_file(lambda: transmission_warning(_entry(_entry(tree, "gauge"), "transmission") or None), "gauge")
    message = _entry(tree, "collapse").get("message")
    found += [str(message)] if message else []
    bars = _entry(tree, "uncertainty")
    if bars and not bars.get("valid") and bars.get("reason"):
        found.append(str(bars["reason"]))
    return found + _of_file(lambda: reference_warnings(tree.get("reference")), "reference")


def _of_file(read: Callable[[], str | list[str] | None], entry: str) -> list[str]:
    """Sentences on an entry of `metrics.json`, of which nobody knows what it holds."""
    try:
        sentences = read()
    except (TypeError, ValueError, KeyError, AttributeError):
        return [f"metrics.json: the entry {entry} cannot be read; reconstruct again"]
    return [sentences] if isinstance(sentences, str) else sentences or []


def metrics_table(result: Result) -> str:
    """The numbers of `metrics.json`."""
    if not result.metrics:
        return "<p>No metrics.json yet.</p>"
    try:
        rows = [row for section in metric_rows(result.metrics) for row in section]
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError, ZeroDivisionError):
        return '<p class="warning">metrics.json holds entries that no command writes; reconstruct again.</p>'
    return table(("quantity", "value"), rows)


def settings_table(result: Result) -> str:
    """The recipe against the default."""
    if result.recipe is None:
        return "<p>No recipe.yaml was found; the modelled patterns use the default recipe.</p>"
    rows = changed_settings(result.recipe)
    return table(("setting", "value", "default"), rows) if rows else "<p>All settings have their defaults.</p>"


def log_text(result: Result) -> str:
    """The end of `run.log`."""
    lines = "\n".join(escape(line) for line in result.log)
    return f"<details><summary>Last lines of run.log</summary><pre>{lines}</pre></details>" if lines else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a row of headings.

    >>> table(("name",), [("<b>",)])
    '<table><tr><th scope="col">name</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(one_line(text))}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def warning(text: str) -> str:
    """One sentence in a marked paragraph."""
    return f'<p class="warning">{escape(one_line(text))}</p>'


def _facts(result: Result) -> list[str]:
    image = result.image
    parts: list[str] = []
    if image is not None:
        rows, columns = image.object_.shape
        parts += [shown(image.metadata["method"])] if image.metadata.get("method") else []
        parts += [f"{rows} × {columns} px", f"{len(image.positions_px)} patterns of {image.probe.shape[-1]} px"]
        if image.pixel_size_m is not None:
            parts.append(f"pixel {image.pixel_size_m * 1e9:.3g} nm")
    if result.is_live:
        parts.append("the image so far")
    if result.changed_s is not None:
        at = datetime.fromtimestamp(result.changed_s).astimezone()
        parts.append(f"last change {at.strftime('%Y-%m-%d %H:%M:%S')}")
    return parts if image is not None else ["no image yet", *parts]


def _verdict(result: Result) -> tuple[str, str] | None:
    """Level and message, as the image or the metrics hold them."""
    for tree in (result.metrics, {} if result.image is None else result.image.metadata):
        known = _entry(tree, "verdict")
        if known.get("level"):
            return str(known["level"]), str(known.get("message", ""))
    return None


def _entry(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    known = tree.get(name)
    return known if isinstance(known, Mapping) else {}


def paragraph(plain: str) -> str:
    """A plain text.

    >>> paragraph("2 < 3")
    '<p>2 &lt; 3</p>'
    """
    return f"<p>{escape(one_line(plain))}</p>"


def campaign(entries: Sequence[Entry], most: int) -> str:
    """The scans of a campaign with their state and verdict, `most` of them, the numbers of all above."""
    numbers = Counter(one.state for one in entries)
    facts = ", ".join(f"{count} {state}" for state, count in numbers.most_common())
    rows = [
        (
            one.name,
            one.state,
            shown(one.result.get("verdict") or ""),
            *(_short(one.result.get(score)) for score in SCORES),
            shown(one.error or one.result.get("message") or ""),
        )
        for one in entries[:most]
    ]
    more = paragraph(f"{len(entries) - most} further scans are in table.csv.") if len(entries) > most else ""
    head = ("scan", "state", "verdict", *(score.replace("_", " ") for score in SCORES), "message")
    return (
        f"<h2>Campaign: {len(entries)} scans</h2>{paragraph(facts)}"
        f"<details open><summary>Table</summary>{table(head, rows)}</details>{more}"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""
