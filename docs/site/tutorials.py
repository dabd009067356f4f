"""Hook of MkDocs: runs the percent scripts of examples/tutorials, and shows their text, code, output and figures.

mkdocs-gallery does this too, but captures figures of pyplot only, and leaves pickle files and notebooks in docs/.
"""

import ast
import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from ptychopinn.notebook import Shown

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "examples" / "tutorials"
MARK = "# %%"
DPI = 110
"""Of the figures: 1,600 px wide, about the width of a page on a screen with fine pixels."""


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each script, and its figures."""
    for script in sorted(SCRIPTS.glob("*.py")):
        text, figures = rendered(script)
        files.append(File.generated(config, f"tutorials/{script.stem}.md", content=text))
        for name, data in figures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=data))
    return files


def cells(text: str) -> list[tuple[str, int, str]]:
    """Kind (`markdown` or `code`), first line and text of each cell of a percent script.

    >>> cells("# %% [markdown]\\n# # Title\\n\\n# %%\\nx = 1\\n")
    [('markdown', 2, '# Title'), ('code', 5, 'x = 1')]
    """
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(MARK):
            found.append(("markdown" if "[markdown]" in line else "code", number + 1, []))
        elif found:
            kind, _, lines = found[-1]
            lines.append(line.removeprefix("#").removeprefix(" ") if kind == "markdown" else line)
    return [(kind, first, "\n".join(lines).strip("\n")) for kind, first, lines in found]


def rendered(script: Path) -> tuple[str, dict[str, bytes]]:
    """Markdown of a script that was run in a folder of its own, and its figures by file name.

    Raises:
        PluginError: a cell fails; names script and line.
    """
    parts: list[str] = []
    figures: dict[str, bytes] = {}
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for kind, first, source in cells(script.read_text(encoding="utf-8")):
                if kind == "markdown":
                    parts.append(source)
                    continue
                parts.append(f"```python\n{source}\n```")
                printed, value = run_cell(script, first, source, names)
                shown = "" if value is None or isinstance(value, Figure) else repr(value)
                if output := "\n".join(text for text in (printed.rstrip(), shown) if text):
                    parts.append(f"```text\n{output}\n```")
                if isinstance(value, Shown | Figure):
                    name = f"{script.stem}_{len(figures) + 1}.png"
                    figures[name] = png(value.plot() if isinstance(value, Shown) else value)
                    parts.append(f"![Figure of the {type(value).__name__}]({name})")
        finally:
            os.chdir(before)
    path = script.relative_to(ROOT)
    parts.append(f"The program of this page: [{path}](../../{path}).")
    return "\n\n".join(parts) + "\n", figures


def run_cell(script: Path, first: int, source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """What a cell prints, and the value of its last line."""
    tree = ast.parse(source)
    ast.increment_lineno(tree, first - 1)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, str(script), "exec"), names)
            value = eval(compile(ast.Expression(last.value), str(script), "eval"), names) if last else None
    except Exception as error:
        line = error.__traceback__.tb_next.tb_lineno if error.__traceback__ and error.__traceback__.tb_next else first
        raise PluginError(f"{script.relative_to(ROOT)}, line {line}: {type(error).__name__}: {error}") from error
    return printed.getvalue(), value


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=DPI)
    return written.getvalue()
