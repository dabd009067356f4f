"""Copy the tables of `benchmarks/results/` into the pages that include them: `python docs/include_results.py`.

A page includes a file between two comments, which stay:

    <!-- include: benchmarks/results/refinement.md -->
    <!-- end include -->
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- include: (\S+) -->\n).*?(<!-- end include -->)", flags=re.DOTALL)


def pages() -> list[Path]:
    """All pages, of users and of developers."""
    return sorted((ROOT / "docs").rglob("*.md"))


def included(text: str) -> str:
    """The text of a page with every included file as it is now.

    Raises:
        FileNotFoundError: a file that is included does not exist.
    """

    def block(found: re.Match[str]) -> str:
        return found[1] + (ROOT / found[2]).read_text(encoding="utf-8") + found[3]

    return BLOCK.sub(block, text)


def main() -> None:
    """Write every page whose tables have changed, and name it."""
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = included(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
