"""What a person wants to know when a command has ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from ptychopinn.api.metric_rows import REFERENCE, metric_rows, shown_value
from ptychopinn.cli.console import results, say

if TYPE_CHECKING:
    from ptychopinn.api.dry_run import Plan


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """A table of `metrics.json`, the verdict, and what looks wrong."""
    table = new_table()
    for section in metric_rows(metrics):
        for label, text in section:
            table.add_row(label, escape(text))
        table.add_section()
    results.print(table)
    show_verdict(metrics.get("verdict"))
    warn_if_collapsed((metrics.get("collapse") or {}).get("message"), metrics.get("reference"))


def show_reports(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """A table with one column for each report, by name."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="cyan", no_wrap=True)
    for name in reports:
        table.add_column(name, justify="right", overflow="fold")
    for key, label, text in REFERENCE:
        values = [report.get(key) for report in reports.values()]
        if any(value is not None for value in values):
            table.add_row(label, *(shown_value(report, key, text) for report in reports.values()))
    results.print(table)
    for name, report in reports.items():
        warn_if_collapsed(None, report, name)


def new_table() -> Table:
    """Two columns without decoration."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def warn_if_collapsed(message: str | None, report: Mapping[str, Any] | None = None, name: str = "") -> None:
    """One line on stderr for each way in which an image seems to have collapsed.

    Args:
        message: of `ptychopinn.metrics.collapse.Collapse`; none of a sound image.
        report: a comparison with a reference, where there is one.
        name: of the image, where there are several.
    """
    from ptychopinn.metrics.collapse import reference_warnings

    told = [] if message is None else [message]
    for sentence in [*told, *reference_warnings(report)]:
        _warn(f"{name}: {sentence}" if name else sentence)


def show_choice(choice: Mapping[str, Any] | None, other: Path | None) -> None:
    """One line about which of two images is the result, and one with the file of the other."""
    if choice is not None:
        results.print(f"result: {choice['result']}; {choice['reason']}", highlight=False, soft_wrap=True)
        show_path("the other image", other)


def show_verdict(verdict: Mapping[str, Any] | None) -> None:
    """Whether the image fits its patterns,: on stdout if it does, else on stderr with cause and advice.

    Args:
        verdict: the entry `verdict` of `metrics.json`; nothing is shown without it.
    """
    if verdict is None:
        return
    style = _VERDICT_STYLES[verdict["level"]]
    text = f"VERDICT: {verdict['message']}."
    if verdict["level"] == "fits":
        results.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    else:
        say("verdict", text, style)


_VERDICT_STYLES = {"fits": "bold green", "fits in part": "bold yellow", "does not fit": "bold red"}


def show_plan(plan: "Plan") -> None:
    """What a command would do."""
    table = new_table()
    for text in plan.reads:
        table.add_row("would read", escape(text))
    for step in plan.steps:
        table.add_row("would compute", escape(f"{step.name}: {step.amount}, {duration(step.seconds)}"))
    table.add_row("would write", escape(f"{plan.folder}: {', '.join(plan.writes)}"))
    if plan.replaced:
        table.add_row("would replace", escape(", ".join(plan.replaced)))
    table.add_row("would take", f"{duration(plan.seconds)} on this machine")
    results.print(table)
    for sentence in plan.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """An estimated time, in words.

    >>> duration(0.4), duration(42), duration(170), duration(9000)
    ('about 1 s', 'about 42 s', 'about 3 min', 'about 2.5 h')
    """
    if seconds < 100:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 6000 else f"about {seconds / 3600:.1f} h"


def show_path(label: str, path: Path | None) -> None:
    """One line that names a file."""
    if path is not None:
        results.print(f"{label}: {path}", highlight=False, soft_wrap=True)


def _warn(sentence: str) -> None:
    say("warning", f"Warning: {sentence}.", "yellow")
