"""Names of a package that are loaded when they are first used, so that what needs no torch starts without it."""

from collections.abc import Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any


def loads(package: MutableMapping[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The function `__getattr__` of a package, which loads a name from its home once; `dir` lists all of them.

    Args:
        package: `globals()` of the package.
        homes: name -> module that defines it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        value = package[name] = getattr(import_module(homes[name]), name)
        return value

    package.setdefault("__dir__", lambda: sorted({*package, *homes}))
    return load
