"""The documents are in step with the results that they include, short, in plain English, and free of dead links."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperCommand, TyperGroup

from ptychopinn.cli import app
from ptychopinn.config import Recipe, Section

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INCLUDE = runpy.run_path(str(DOCS / "include_results.py"))
GENERATED = {"config-mapping.md"}
"""Pages that a script writes: their length is not ours to choose."""
USER_PAGES = sorted(path for path in DOCS.glob("*.md"))
PAGES = sorted(DOCS.rglob("*.md"))
MOST_LINES = 1784
"""Of the README and all pages for users; more is not read. It was 1,500 for the pages and 284 for the README."""
README_LINES = 150
BANNED = {
    "the rule is": "must be",
    "where (?:little )?light": "dose, illumination",
    "edges kept": "edge-preserving",
    "one material": "single-material",
    "tells its": "name what it does",
    "the earlier system": "legacy PtychoPINN",
    "seconds of the clock": "wall-clock seconds",
    "other work beside": "shared machine",
    "px (?:are )?left": "residual position error",
    "lift(?:ed|ing)": "back-projected",
    "ben(?:d|ds|ding|t)": "distortion",
    "pictures?": "figure",
    "verbs?": "command",
}
"""A pattern -> the standard term."""
BEFORE_AND_AFTER = {"glossary.md": "## Earlier names", "plain_english.md": "## Settings"}
"""Pages that quote the words of earlier versions, from this heading on."""


def prose(text: str) -> str:
    """Text without code, links' targets and comments."""
    text = re.sub(r"```.*?```|<!--.*?-->", " ", text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)", " ", text)


def pattern_of(phrase: str) -> re.Pattern[str]:
    """Finds a phrase in words of any case, also across lines."""
    return re.compile(r"\b" + phrase.replace(" ", r"\s+") + r"\b", flags=re.IGNORECASE)


def page_text(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    quoted = BEFORE_AND_AFTER.get(page.name)
    return text if quoted is None else text[: text.index(quoted)]


def descriptions(section: type[BaseModel], path: str = "recipe") -> Iterator[tuple[str, str]]:
    """Each setting with its help, as the recipe and `default.yaml` show it."""
    yield path, section.__doc__ or ""
    for name, field in section.model_fields.items():
        yield f"{path}.{name}", field.description or ""
        if isinstance(field.default, Section):
            yield from descriptions(type(field.default), f"{path}.{name}")


def helps(command: TyperCommand | TyperGroup, path: str = "ptychopinn") -> Iterator[tuple[str, str]]:
    """Each command and option with its help."""
    yield path, command.help or ""
    for option in command.params:
        yield f"{path} {option.opts[0]}", getattr(option, "help", None) or ""
    if isinstance(command, TyperGroup):
        for name, part in command.commands.items():
            yield from helps(part, f"{path} {name}")


def texts() -> list[tuple[str, str]]:
    """Everything that a person reads, by where it stands."""
    found = [(str(page.relative_to(ROOT)), prose(page_text(page))) for page in PAGES]
    found += [(name, prose((ROOT / name).read_text(encoding="utf-8"))) for name in ("README.md", "CHANGELOG.md")]
    comments = re.compile(r"#.*$", flags=re.MULTILINE)
    for path in sorted(ROOT.rglob("recipes/*.yaml")):
        if ".venv" not in path.parts:
            found.append((path.name, "\n".join(comments.findall(path.read_text(encoding="utf-8")))))
    found += [(place, prose(text)) for place, text in descriptions(Recipe)]
    found += [(place, prose(text)) for place, text in helps(typer.main.get_command(app))]
    return found


def test_everything_that_a_person_reads_is_looked_at() -> None:
    places = {place for place, _ in texts()}
    assert {
        "README.md",
        "docs/refine.md",
        "docs/dev/decisions.md",
        "few_photons.yaml",
        "recipe.reconstruction.refine.smoothness",
        "ptychopinn run --device",
    } <= places


@pytest.mark.parametrize("phrase", BANNED)
def test_standard_terms_are_used(phrase: str) -> None:
    found = [(place, match[0]) for place, text in texts() for match in pattern_of(phrase).finditer(text)]
    assert found == [], f"write: {BANNED[phrase]}"


@pytest.mark.parametrize(
    "text", ["The\nrule is a number.", "Held to one material.", "0.2 px are left.", "Look at the picture."]
)
def test_a_banned_phrase_is_found(text: str) -> None:
    assert any(pattern_of(phrase).search(prose(text)) for phrase in BANNED)
    quoted = prose("`" + text.replace("\n", " ") + "`")
    assert not any(pattern_of(phrase).search(quoted) for phrase in BANNED)


def test_user_pages_are_short() -> None:
    written = [page for page in USER_PAGES if page.name not in GENERATED]
    block = re.compile(r"(<!-- include: \S+ -->\n).*?(?=<!-- end include -->)", flags=re.DOTALL)
    texts_of_pages = [block.sub(r"\1", page.read_text(encoding="utf-8")) for page in written]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= README_LINES
    assert sum(len(text.splitlines()) for text in [readme, *texts_of_pages]) <= MOST_LINES
    assert max(len(line) for text in texts_of_pages for line in text.splitlines() if not line.startswith("|")) <= 160


def test_no_user_page_names_a_test() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    names = {path.stem for path in files}
    names |= {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}
    for page in USER_PAGES:
        words = set(re.findall(r"\btest_\w+", page.read_text(encoding="utf-8")))
        assert words & names == set(), page.name


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: page.name)
def test_a_user_page_has_one_table_of_figures_at_most(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("<!-- include: ") <= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_included_results_are_those_of_the_benchmarks(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert INCLUDE["included"](text) == text, "run: python docs/include_results.py"
    assert text.count("<!-- include: ") == text.count("<!-- end include -->")


def test_every_result_states_how_it_was_measured_and_is_shown() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.md")):
        assert f"<!-- include: benchmarks/results/{path.name} -->" in shown, path.name
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert re.match(r"(Measured|Recorded) on \d{4}-\d\d-\d\d (at|in) revision \w+", first), path.name


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
