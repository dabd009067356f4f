"""Extension of Griffe: examples of docstrings that stand in no section of their own become blocks of code."""

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"(?:^|(?<=\n))([ ]*)(>>> .*?)(?=\n\s*\n|\Z)", flags=re.DOTALL)


class Doctests(Extension):
    """Fences what begins with `>>>`, up to the next empty line."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Change the docstring before it is parsed."""
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with each example as a block; those of a section `Examples:` are left to the parser of the docstring.

    >>> fenced("Adds.\\n\\n>>> 1 + 1\\n2").splitlines()
    ['Adds.', '', '```pycon', '>>> 1 + 1', '2', '```']
    >>> fenced("Adds.\\n\\nExample:\\n    >>> 1 + 1").splitlines()
    ['Adds.', '', 'Examples:', '    >>> 1 + 1']
    """

    def block(found: re.Match[str]) -> str:
        if found[1]:  # indented: within a section
            return found[0]
        return f"```pycon\n{found[2].rstrip()}\n```"

    return _EXAMPLE.sub(block, re.sub(r"^Example:(?=\n\s+>>> )", "Examples:", text, flags=re.MULTILINE))
