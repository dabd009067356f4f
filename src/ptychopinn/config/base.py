"""What all sections of a recipe share: frozen, no unknown keys."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One frozen section of the recipe."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
