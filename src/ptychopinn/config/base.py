"""What all sections of a recipe share: frozen, no unknown keys, earlier names accepted with a warning."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

logger = logging.getLogger("ptychopinn.config")


class Section(BaseModel):
    """One frozen section of the recipe."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    renamed: ClassVar[Mapping[str, str]] = {}
    """Earlier name of a setting -> its name now; the earlier one is accepted with a warning for one release."""

    @classmethod
    def current_name(cls, name: str) -> str:
        """Name of a setting now; logs a warning where an earlier name was given."""
        current = cls.renamed.get(name, name)
        if current != name:
            logger.warning("the setting %s is now called %s; the old name will be removed", name, current)
        return current

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping) or cls.renamed.keys().isdisjoint(tree):
            return tree
        both = [old for old, new in cls.renamed.items() if old in tree and new in tree]
        if both:
            raise ValueError(f"{both[0]} and {cls.renamed[both[0]]} are two names of one setting; give only the second")
        return {cls.current_name(name): value for name, value in tree.items()}
