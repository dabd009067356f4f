"""Hook of MkDocs: the README as the first page, every file of the repository that a page links to, and equations."""

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = "source"
"""Folder of the site with the files of the repository that pages link to."""
OWN = {".md", ".png"}
"""Files in docs/ that are pages or figures of the site; others are shown as source."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".md": "markdown"}
_FENCE = re.compile(r"(^```.*?^```)", flags=re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]+)(#[^)\s]*)?\)")
_MATHS = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', flags=re.DOTALL)


def on_config(config: Any) -> Any:
    """Pages of developers have a part of the navigation of their own, in the order of their names."""
    notes = [page_of(path) for folder in ("dev", "specs", "workflows") for path in sorted((DOCS / folder).glob("*.md"))]
    config["nav"] = [*config["nav"], {"Development": notes}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the README and, page by page, what they link to."""
    queue = [ROOT / "README.md", *(Path(file.abs_src_path) for file in files if file.is_documentation_page())]
    queue += sorted((ROOT / "examples/tutorials").glob("*.py"))  # linked by the pages that are made of them
    known = set(queue)
    for path in queue:
        name, text = page_of(path), shown(path)
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, content=text))
        linked = {path.parent.joinpath(link).resolve() for link in links(text)} if path.suffix == ".md" else set()
        if path.is_dir():
            linked = set(listed(path))
        new = sorted(target for target in linked - known if page_of(target).startswith(SOURCE) and target.exists())
        known.update(new)
        queue += new
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links to files outside docs/ to their pages."""
    base = place_of(page.file.src_uri)
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda found: _led(found, base, page.file.src_uri), part)
        for part in _FENCE.split(markdown)
    )


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Equations as MathML, which browsers draw without a script."""
    display = {"div": "block", "span": "inline"}
    return _MATHS.sub(lambda found: convert(html.unescape(found[2]), display=display[found[1]]), content)


def page_of(path: Path) -> str:
    """Name within the site of a file or folder of the repository.

    >>> page_of(ROOT / "README.md"), page_of(DOCS / "check.md"), page_of(ROOT / "LICENSE")
    ('index.md', 'check.md', 'source/LICENSE.md')
    """
    if path == ROOT / "README.md":
        return "index.md"
    if path.is_relative_to(DOCS) and path.suffix in OWN:
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return f"{SOURCE}/{name}{'/index.md' if path.is_dir() else '' if path.suffix == '.md' else '.md'}"


def place_of(name: str) -> Path:
    """Folder from which the links of a page are meant."""
    if name == "index.md":
        return ROOT
    if not name.startswith(f"{SOURCE}/"):
        return (DOCS / name).parent
    inner = ROOT / name.removeprefix(f"{SOURCE}/")
    return inner.parent


def shown(path: Path) -> str:
    """Markdown of a file: itself, a list of a folder, or the text in a block."""
    if path.is_dir():
        lines = [f"- [{one.name}]({one.name})" for one in listed(path)]
        return f"# {path.relative_to(ROOT)}\n\n" + "\n".join(lines) + "\n"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {path.relative_to(ROOT)}\n\n```{LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n```\n"


def listed(folder: Path) -> list[Path]:
    """Files that the page of a folder lists."""
    return sorted(one for one in folder.iterdir() if one.suffix in LANGUAGES)


def links(text: str) -> set[str]:
    """Targets of all links of a page to files, without anchors; those in blocks of code are none."""
    return {found[1] for part in _FENCE.split(text) if not part.startswith("```") for found in _LINK.finditer(part)}


def _led(found: re.Match[str], base: Path, name: str) -> str:
    target = (base / found[1]).resolve()
    if not target.is_relative_to(ROOT) or not target.exists():  # a page that the build makes, or a dead link
        return found[0]
    return f"]({posixpath.relpath(page_of(target), posixpath.dirname(name))}{found[2] or ''})"
