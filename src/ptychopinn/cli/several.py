"""Several scans in one command: a folder for each, what has been finished, and what failed."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer
from rich.markup import escape
from rich.table import Table

from ptychopinn.cli.console import results, say
from ptychopinn.cli.ending import exit_code, print_error, program_fault
from ptychopinn.cli.summary import show_path, show_verdict
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptychopinn.api.reconstructed import Reconstructed
    from ptychopinn.api.together import ReconstructedTogether
    from ptychopinn.cli.progress import ProgressDisplay

FINISHED = "finished.json"
"""In the folder of a scan: what decided its reconstruction, written when it has ended."""
INCOMPLETE = 4
"""Exit code where one of several scans has no image, because it failed or its file was not complete."""
_FAULT, _INTERRUPTED = 1, 130


@dataclass
class Several:
    """One or more scans that are reconstructed one after the other by the same settings."""

    folders: Mapping[Path, Path]
    """Scan -> folder of its files."""
    stated: Mapping[Path, dict[str, Any]]
    """Scan -> all that decides its image, as JSON values."""
    skip_done: bool
    codes: dict[Path, int] = field(default_factory=dict)
    """Scan -> how its reconstruction ended, as an exit code."""
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """Scan, verdict and folder, for the table at the end."""

    @classmethod
    def of(
        cls, scans: Sequence[Path], output: Path, model: Path | None, how: Mapping[str, Any], *, skip_done: bool
    ) -> Self:
        """The scans of a command.

        Args:
            scans: files.
            output: folder for the files of one scan, or for the folders of several.
            model: trained model, or none.
            how: everything else that decides the images.
            skip_done: leave out scans that the same settings have finished.

        Raises:
            ConfigError: a scan is given twice, or the recipe cannot be used.
        """
        if len(scans) == 1:
            folders = {scans[0]: output}
        else:
            folders = {scan: output / name for scan, name in zip(scans, folder_names(scans), strict=True)}
            if model is None:
                from ptychopinn.api.inputs import as_recipe

                as_recipe(how["recipe"], how["overrides"])  # what is wrong for all scans is said once
        return cls(folders, {scan: _stated(scan, model, how) for scan in scans}, skip_done)

    def plan(self, show: Callable[[Path, Path], None]) -> None:
        """Show what would be done with each scan; one that would be refused does not stop the others."""
        for scan, folder in self._todo():
            self.codes[scan] = self._code(partial(show, scan, folder))
        self.finish()

    def reconstruct(
        self, make: "Callable[[Path, Path], Reconstructed]", shown: "ProgressDisplay"
    ) -> "list[Reconstructed]":
        """Reconstruct each scan; one that fails does not stop the others, Ctrl-C does.

        Args:
            make: of a scan and its folder.
            shown: shows how many scans are done.
        """
        done: list[Reconstructed] = []

        def one(scan: Path, folder: Path) -> None:
            done.append(make(scan, folder))

        todo, many = self._todo(), len(self.folders) > 1
        for number, (scan, folder) in enumerate(todo):
            if many:
                shown.on_run(number, len(todo), str(scan), stage="scans")
            self.codes[scan] = self._code(partial(one, scan, folder))
            if self.codes[scan]:
                self.rows.append((str(scan), "failed", str(folder)))
                continue
            if many or self.skip_done:
                from ptychopinn.studies.finished import write_finished

                write_finished(folder / FINISHED, self.stated[scan], {"verdict": done[-1].metrics["verdict"]["level"]})
            self.rows.append((str(scan), done[-1].metrics["verdict"]["level"], str(folder)))
            if many:
                show_verdict(done[-1].metrics["verdict"])
                show_path("figure", done[-1].paths["figure"])
        return done

    def show_together(self, together: "ReconstructedTogether") -> None:
        """Show the verdicts of scans that were solved together, and their files."""
        for (scan, folder), (name, part) in zip(self.folders.items(), together.parts.items(), strict=True):
            results.print(f"{name}:", markup=False, highlight=False)
            show_verdict(part.metrics["verdict"])
            if "held_out" in part.metrics:
                results.print(f"  {part.metrics['held_out']['conclusion']}", markup=False, highlight=False)
            self.rows.append((str(scan), part.metrics["verdict"]["level"], str(folder)))
        show_path("common object", together.paths.get("reconstruction"))
        show_path("figure", together.paths.get("figure"))
        self.finish()

    def finish(self) -> None:
        """Show a table of several scans; end with an exit code that says whether one failed.

        Raises:
            typer.Exit: with 4 after bad input, 1 after a fault of the program.
        """
        if len(self.folders) > 1 and self.rows:
            table = Table(box=None, padding=(0, 2, 0, 0))
            for title in ("scan", "verdict", "folder"):
                table.add_column(title, overflow="fold")
            for row in self.rows:
                table.add_row(*(escape(text) for text in row))
            results.print(table)
        failed = [scan for scan, code in self.codes.items() if code]
        if failed and len(self.folders) > 1:
            named = ", ".join(map(str, failed))
            say("failed", f"{len(failed)} of {len(self.folders)} scans failed: {named}", "bold red")
        if failed:
            raise typer.Exit(_FAULT if _FAULT in self.codes.values() else INCOMPLETE)

    def _todo(self) -> list[tuple[Path, Path]]:
        """Scans with their folders, without those that are finished."""
        left = []
        for scan, folder in self.folders.items():
            verdict = self._finished(scan, folder) if self.skip_done else None
            if verdict is None:
                left.append((scan, folder))
            else:
                self.rows.append((str(scan), f"{verdict} (done before)", str(folder)))
                results.print(f"{scan}: done before, {folder}", markup=False, highlight=False, soft_wrap=True)
        return left

    def _finished(self, scan: Path, folder: Path) -> str | None:
        """The verdict of a scan that the same settings have finished and whose image is there."""
        from ptychopinn.data.reconstruction import RESULT_NAME
        from ptychopinn.studies.finished import read_finished

        run = read_finished(folder / FINISHED, self.stated[scan])
        return None if run is None or not (folder / RESULT_NAME).is_file() else str(run.get("verdict"))

    def _code(self, work: Callable[[], object]) -> int:
        if len(self.folders) == 1:
            work()  # its errors end the command, as those of any other
            return 0
        try:
            code = exit_code(work)
        except Exception as error:
            print_error(program_fault(error))
            return _FAULT
        if code == _INTERRUPTED:
            raise typer.Exit(code)
        return code


def folder_names(scans: Sequence[Path]) -> list[str]:
    """A name for each scan: its file without extension, with its folder and extension where others have the same.

    Raises:
        ConfigError: a scan is given twice.

    >>> folder_names([Path("a/scan.npz"), Path("b/scan.npz"), Path("b/other.npz"), Path("c/x.npz"), Path("c/x.cxi")])
    ['a_scan', 'b_scan', 'other', 'c_x.npz', 'c_x.cxi']
    """
    places = [scan.resolve() for scan in scans]
    twice = [scan for scan, place in zip(scans, places, strict=True) if places.count(place) > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: is given twice; give each scan once")
    rules: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem,
        lambda path: f"{path.parent.name}_{path.stem}",
        lambda path: f"{path.parent.name}_{path.name}",
        lambda path: "_".join(path.parts[1:]),
    )
    columns = [[rule(place) for place in places] for rule in rules]
    uses = Counter(name for column in columns for name in set(column))

    def is_free(column: list[str], row: int) -> bool:
        return column.count(column[row]) == 1 == uses[column[row]]

    rows = range(len(places))
    return [next((column[row] for column in columns if is_free(column, row)), columns[-1][row]) for row in rows]


def _stated(scan: Path, model: Path | None, how: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides an image: the files with their size and date, and the settings."""
    from ptychopinn import __version__
    from ptychopinn.api.inputs import stated_recipe

    files = [_file(path) for path in (scan, model, *how["files"]) if path is not None]
    settings = {key: value for key, value in how.items() if key not in ("files", "recipe")}
    recipe = stated_recipe(how["recipe"]).model_dump(mode="json")
    tree = {"version": __version__, "files": files, "recipe": recipe, **settings}
    return dict(json.loads(json.dumps(tree)))


def _file(path: Path) -> list[Any]:
    """What tells one version of a file from another."""
    from ptychopinn.bundle import bundle_file

    place = bundle_file(path) if path.is_dir() else path
    try:
        facts = place.stat()
    except OSError:
        return [str(place.absolute())]
    return [str(place.resolve()), facts.st_size, facts.st_mtime_ns]
