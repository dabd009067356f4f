"""The site builds without a warning, runs the tutorials, has all names and settings, and no dead or foreign link."""

import doctest
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import click
import pytest
import typer
import typer.core
from PIL import Image
from typer.core import TyperGroup

import ptychopinn
from ptychopinn.cli import app
from ptychopinn.config import Recipe
from ptychopinn.config.reconstruction import ReconstructionConfig
from ptychopinn.config.text import keys

pytestmark = [pytest.mark.optional("mkdocstrings"), pytest.mark.optional("latex2mathml")]

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ("pages", "reference", "tutorials", "doctests")
TUTORIALS = {
    "own_scan": ("overlap 62%", "verdict: fits", "check the units of the positions", "with the probe: phase PSNR"),
    "network_or_solver": ("network cnn (pytorch)", "network unrolled", "second scan: unrolled, then 10 iterations"),
    "low_dose": ("without prior: phase PSNR", "with error bars", "error bars valid: True", "within 2 standard dev"),
}
"""Script -> what its page must say."""


class Page(HTMLParser):
    """Ids, links and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := known.get(name))}
        if tag == "a" and (link := known.get("href")):
            self.links.append(link)
        where = known.get("href") if tag == "link" else known.get("src")
        if tag != "a" and where:
            self.loaded.append(where)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / "mkdocs.yml"), "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr + done.stdout
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """Name -> what stands on the page."""
    found = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {name: Page(path.read_text(encoding="utf-8")) for name, path in found.items() if name != "404.html"}


def text_of(site: Path, name: str) -> str:
    page = re.sub(r"<[^>]+>", "", (site / name).read_text(encoding="utf-8"))
    return (
        page.replace("&#39;", "'")
        .replace("&quot;", '"')
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
    )


def test_every_page_for_users_is_there(pages: dict[str, Page]) -> None:
    written = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert written | {"index.html"} <= set(pages)


def test_every_public_name_has_its_entry(pages: dict[str, Page], site: Path) -> None:
    entries = {one for one in pages["reference/python.html"].ids if re.fullmatch(r"ptychopinn\.\w+", one)}
    assert entries == {f"ptychopinn.{name}" for name in ptychopinn.__all__}
    said = text_of(site, "reference/python.html")
    assert "Compare a reconstruction with a reference object." in said
    assert ":::" not in said
    figures = [f"ptychopinn.{one}.plot" for one in ("data.scan.Scan", "api.train.Trained", "api.evaluate.Evaluation")]
    assert set(figures) <= pages["reference/python.html"].ids


def test_every_setting_has_its_entry(pages: dict[str, Page], site: Path) -> None:
    names = [name for name in pages if name.startswith("reference/settings/")]
    ids = {one for name in names for one in pages[name].ids}
    assert set(keys(Recipe)) - ids == set()
    said = " ".join(" ".join(text_of(site, name).split()) for name in names)
    size = ReconstructionConfig.model_fields["batch_size"]
    assert f"{' '.join((size.description or '').split())} Values whole number from 1 · Default {size.default}" in said
    assert "Values true or false · Default false" in said
    assert "Unit px" in said


def test_every_command_has_its_entry(site: Path) -> None:
    said = text_of(site, "reference/commands.html")
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        assert f"ptychopinn {name}" in said
        if not isinstance(command, TyperGroup):
            assert all(option.opts[0] in said for option in command.params if option.opts[0].startswith("--"))


def test_nothing_is_asked_of_another_host(pages: dict[str, Page], site: Path) -> None:
    foreign = [where for page in pages.values() for where in page.loaded if re.match(r"(https?:)?//", where)]
    assert foreign == []
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", text), style.name


def test_links_lead_somewhere(pages: dict[str, Page], site: Path) -> None:
    dead = []
    for name, page in pages.items():
        for link in (*page.links, *page.loaded):
            if re.match(r"[a-z]+:", link):
                continue
            where, anchor = urldefrag(unquote(link))
            target = (site / name).parent.joinpath(where).resolve() if where else site / name
            known = pages.get(target.relative_to(site.resolve()).as_posix()) if target.is_relative_to(site) else None
            if not target.is_file() or (anchor and known and anchor not in known.ids):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_equations_are_drawn_and_examples_are_code(site: Path) -> None:
    page = (site / "reference/python.html").read_text(encoding="utf-8")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in page
    assert "arithmatex" not in page
    for path in site.rglob("reference/*.html"):
        assert not re.search(r"<blockquote>\s*<blockquote>", path.read_text(encoding="utf-8")), path.name


def written_commands() -> list[tuple[str, str]]:
    """Page and command of every `ptychopinn` line in a block of code, without comments; programs of dots are none."""
    found = []
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(path.name, line.strip()) for line in lines if re.match("ptychopinn [a-z-]", line.strip())]
    return found


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_every_command_that_a_page_shows_is_understood(page: str, line: str) -> None:
    command: TyperGroup | typer.core.TyperCommand = typer.main.get_command(app)  # type: ignore[assignment]
    words = shlex.split(line, comments=True)[1:]
    while isinstance(command, TyperGroup):
        assert words[0] in command.commands, f"{page}: {line}"
        command = command.commands[words.pop(0)]
    try:
        command.make_context(line, words)
        said = ""
    except click.UsageError as error:
        said = error.message
    assert not said or "does not exist" in said, f"{page}: {line}"


def test_every_tutorial_is_known() -> None:
    assert sorted(TUTORIALS) == sorted(path.stem for path in (ROOT / "examples/tutorials").glob("*.py"))


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_says_and_shows_what_it_should(site: Path, pages: dict[str, Page], name: str) -> None:
    said = text_of(site, f"tutorials/{name}.html")
    for words in TUTORIALS[name]:
        assert words in said
    figures = sorted((site / "tutorials").glob(f"{name}_*.png"))
    assert len(figures) >= 3
    assert {figure.name for figure in figures} <= set(pages[f"tutorials/{name}.html"].loaded)
    for figure in figures:
        with Image.open(figure) as image:
            assert image.mode in ("RGB", "RGBA")
            assert min(image.size) > 400


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / "docs/site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", HOOKS)
def test_examples_of_the_hooks_hold(name: str) -> None:
    assert {path.stem for path in (ROOT / "docs/site").glob("*.py")} == set(HOOKS)
    assert doctest.testmod(hook(name)).failed == 0


def test_a_cell_that_fails_stops_the_build_and_is_named() -> None:
    from mkdocs.exceptions import PluginError

    script = ROOT / "examples/tutorials/own_scan.py"
    with pytest.raises(PluginError, match=r"own_scan\.py, line 8: ZeroDivisionError"):
        hook("tutorials").run_cell(script, 7, "x = 1\nx / 0", {})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number above 0 to 1"),
        ({"type": "integer", "minimum": 1, "maximum": 1_000_000}, "whole number from 1 to 1,000,000"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 4}, "list of (whole number), at most 4 entries"),
        ({"type": "string", "minLength": 1}, "text, not empty"),
    ],
)
def test_values_are_described(part: dict[str, object], words: str) -> None:
    assert hook("reference").values(part) == words
