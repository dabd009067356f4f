"""Registries: named things of one kind, ours and those of installed packages."""

import logging
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, final

from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn")

T = TypeVar("T")


@final
class Registry(Generic[T]):
    """A table of named things that installed packages can add to.

    An unknown name is looked for in the entry points of the registry's group. The name of an entry point is the name
    that a recipe uses; its value is the thing itself. If the value is a module, importing it is all that happens, and
    the module calls `register` itself. An entry point that fails is left out, with one warning in the log; it never
    stops the others.

    Args:
        what: what one entry is, for messages: `"loss"`.
        setting: the recipe key that names an entry, for messages: `"model.loss.terms"`.
        entries: the entries that are always there.
        group: the entry point group, `"ptychopinn.losses"`.
        check: called with each value before it is registered; raises `ConfigError` if the value cannot be used.
        shared: another registry that loads the entry points for this one. Its plug-ins are modules that register
            entries of both kinds; then `group` is left out.

    Example:
        >>> scales = Registry("scale", {"linear": float}, setting="plot.scale", group="example.scales")
        >>> scales.register("whole", int)
        >>> scales.names(), scales.resolve("whole")("3")
        (['linear', 'whole'], 3)
    """

    def __init__(
        self,
        what: str,
        entries: Mapping[str, T],
        *,
        setting: str,
        group: str = "",
        check: Callable[[Any], None] | None = None,
        shared: "Registry[Any] | None" = None,
    ) -> None:
        self.what = what
        self.setting = setting
        self.group = group
        self.entries: dict[str, T] = dict(entries)
        self.loaded: dict[EntryPoint, Exception | None] = {}
        self._check = check
        self._plugins: Registry[Any] = shared or self

    def register(self, name: str, value: T) -> None:
        """Add an entry under a new name.

        Raises:
            ConfigError: the name is taken, or the value cannot be used.
        """
        if name in self.entries:
            raise ConfigError(f"{self.what} {name!r} is registered already; choose another name")
        if self._check is not None:
            self._check(value)
        self.entries[name] = value

    def names(self) -> list[str]:
        """All names, sorted, those of installed packages among them."""
        self._plugins.load()
        return sorted(self.entries)

    def resolve(self, name: str) -> T:
        """The entry of that name. Installed packages are searched only if the name is not known yet.

        Raises:
            ConfigError: no entry has that name; plug-ins that failed are named.
        """
        if name not in self.entries:
            self._plugins.load()
        if name not in self.entries:
            raise ConfigError(
                f"{self.setting} = {name!r} is not registered; choose one of {', '.join(sorted(self.entries))}"
                + "".join(self._plugins.failures())
            )
        return self.entries[name]

    def load(self) -> None:
        """Load the entry points that were not loaded before; what fails is named once in the log."""
        for point in sorted(set(entry_points(group=self.group)) - set(self.loaded)):
            try:
                value = point.load()
                if not isinstance(value, ModuleType):
                    self.register(point.name, value)
                self.loaded[point] = None
            except Exception as error:
                self.loaded[point] = error
                logger.warning(
                    "%s plugin %s (%s) is left out, as it fails: %s", self.what, point.name, point.value, error
                )

    def failures(self) -> list[str]:
        """One clause for each entry point that could not be loaded, to append to an error message."""
        return [f"; the plugin {item.value} cannot be loaded: {error}" for item, error in self.loaded.items() if error]
