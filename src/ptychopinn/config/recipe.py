"""The recipe: the whole tree of settings, from and to YAML, with dotted overrides."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from ptychopinn.config.backend import Backend
from ptychopinn.config.base import Section, explain, is_section
from ptychopinn.config.data import DataConfig
from ptychopinn.config.model import ModelConfig
from ptychopinn.config.reconstruction import ReconstructionConfig
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.config.training import TrainingConfig
from ptychopinn.errors import ConfigError, shown


class FittedStatistics(Section):
    """Values that training measured; reconstruction uses them unchanged."""

    pattern_size: int = Field(ge=1, le=65536)
    """Rows (and columns) of the training patterns, px."""
    input_mean: float
    """Mean that is subtracted from the network's input."""
    input_deviation: float = Field(gt=0)
    """Standard deviation by which the input is divided."""
    mean_count: float = Field(ge=0)
    """Mean photons per measured pixel of the training patterns. The Poisson loss is divided by it."""
    intensity_scale: float = Field(gt=0)
    """Factor on the probe that converts model units to sqrt(photons), for the training scan."""
    n_patterns: int = Field(ge=0)
    """Number of training patterns."""
    scale_correction: float = Field(default=1.0, gt=0)
    """Intensity scale at the end of training relative to its start."""
    probe_estimated: bool = False
    """Whether the training scan had no probe, so that an estimate from the mean pattern stood in."""
    started_from: str | None = None
    """Trained model whose weights training began with: its file and a digest of these weights."""


class Recipe(Section):
    """Everything that decides a result: pass it on, save it, load it.

    >>> Recipe() == Recipe.from_yaml(Recipe().to_yaml())
    True
    >>> Recipe().with_overrides(["training.epochs=3"]).training.epochs
    3
    """

    backend: Backend = "pytorch"
    """Implementation of the network that trains and predicts: `pytorch`, or `tensorflow` (the architecture `cnn`; needs
    the extra `tensorflow`). The solver always uses PyTorch."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    simulation: SimulationConfig = SimulationConfig()
    fitted: FittedStatistics | None = None
    """Values measured by training. A recipe that has them belongs to a trained model."""

    @model_validator(mode="after")
    def _stages_have_physics(self) -> "Recipe":
        if self.model.kind == "supervised" and self.training.stages.epochs:
            raise ValueError(
                "training.stages go from data to physics, which model.kind=supervised leaves out; set model.kind=pinn "
                "(and training.stages.data_loss=labels), or the epochs of the stages to 0"
            )
        return self

    @classmethod
    def from_mapping(cls, tree: Mapping[str, Any], where: str = "recipe") -> "Recipe":
        """Validate a nested mapping.

        Raises:
            ConfigError: an unknown key or a bad value, each named with its dotted path.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, where)) from None

    @classmethod
    def from_dotted(cls, values: Mapping[str, Any], where: str = "recipe") -> "Recipe":
        """Validate values by their dotted keys; all others have their defaults.

        >>> Recipe.from_dotted({"training.epochs": 3, "backend": "pytorch"}).training.epochs
        3
        """
        tree: dict[str, Any] = {}
        for key, value in values.items():
            _set_dotted(tree, key, value)
        return cls.from_mapping(tree, where)

    @classmethod
    def from_yaml(cls, text: str, where: str = "recipe") -> "Recipe":
        """Parse YAML text; an empty text is the default recipe."""
        return cls.from_mapping(_parse_yaml(text, where), where)

    @classmethod
    def from_file(cls, path: str | Path) -> "Recipe":
        """Read a YAML (or JSON) file."""
        if not Path(path).exists():
            raise ConfigError(
                f"{path}: no such recipe file; give the path of a YAML file to --config, or one of the names "
                f"{', '.join(recipe_names())}"
            )
        return cls.from_mapping(read_yaml(path, "recipe file"), str(path))

    @classmethod
    def from_name(cls, name: str) -> "Recipe":
        """Read a recipe of the package; `recipe_names` lists them.

        Raises:
            ConfigError: no recipe has this name.

        >>> Recipe.from_name("quick").training.epochs
        15
        """
        return cls.from_yaml(recipe_text(name), f"recipe {name}")

    @classmethod
    def find(cls, source: str | Path) -> "Recipe":
        """Read a file where there is one of that path, else the recipe of the package with that name.

        A word without folder and extension is a name; anything else is a path.

        Raises:
            ConfigError: neither is there, or the file holds no valid recipe.
        """
        path = Path(source)
        is_name = path.name == str(source) and not path.suffix
        return cls.from_name(path.name) if is_name and not path.is_file() else cls.from_file(path)

    def to_yaml(self) -> str:
        """The complete recipe, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=False), sort_keys=False)

    def to_json(self) -> str:
        """The complete recipe as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2)

    def with_overrides(self, overrides: Iterable[str]) -> "Recipe":
        """A recipe with `section.key=value` replaced; values are read as YAML.

        Raises:
            ConfigError: no equals sign, an unknown key or a bad value.
        """
        tree = self.model_dump(mode="json")
        for item in overrides:
            key, equals, value = item.partition("=")
            if not equals or not key.strip():
                raise ConfigError(f"override {item!r}: must be section.key=value, as in training.epochs=40")
            _set_dotted(tree, key.strip(), parse_value(value, item))
        return type(self).from_mapping(tree, "override")


_FOLDER = files("ptychopinn") / "recipes"


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that come with the package, in alphabetical order.

    >>> "few_photons" in recipe_names()
    True
    """
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _FOLDER.iterdir() if file.name.endswith(".yaml")))


def recipe_text(name: str) -> str:
    """The YAML text of a recipe of the package.

    Raises:
        ConfigError: no recipe has this name.
    """
    names = recipe_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        guess = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(
            f"recipe name must be one of {', '.join(names)}, got {name!r}{guess}; give a name of the list, "
            "or give a path to a YAML file"
        )
    return _FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def read_yaml(path: str | Path, kind: str = "file") -> Mapping[str, Any]:
    """The mapping in a YAML (or JSON) file, called `kind` in messages; an empty file is an empty mapping.

    Raises:
        ConfigError: no such file, or one that is no mapping in YAML.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: cannot be read as a {kind} (no regular file); give a YAML text file")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_YAML + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such {kind}; give the path of a YAML file to --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a {kind} ({error}); give a YAML text file") from None
    if len(text) > LONGEST_YAML:
        raise ConfigError(f"{path}: must have {LONGEST_YAML} characters at most; give a {kind} in YAML")
    return _parse_yaml(text, str(path))


LONGEST_YAML = 2**17
"""Characters of a file of settings; all settings with their defaults take 6000."""


_LONGEST_NUMBER = 64
"""Characters of a whole number; Python needs seconds for those of a million, and refuses to print them."""


class _Loader(yaml.SafeLoader):
    """Plain values only: no aliases, of which a few nested ones stand for a billion values, and no key twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node that is no alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the values out")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number of limited length."""
        if len(node.value) > _LONGEST_NUMBER:
            raise yaml.YAMLError(f"a whole number must have {_LONGEST_NUMBER} characters at most")
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping in which no key stands twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for index, key in enumerate(keys) if key in keys[:index])
            raise yaml.YAMLError(f"the key {shown(twice)} stands twice in one mapping; remove one")
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _values(text: str) -> Any:
    """The values of a YAML text.

    Raises:
        YAMLError: no valid YAML, an alias, or deeper than any recipe.
    """
    try:
        return yaml.load(text, _Loader)
    except (ValueError, RecursionError, OverflowError, AttributeError, TypeError, LookupError) as error:
        raise yaml.YAMLError(str(error)) from None


def _parse_yaml(text: str, where: str) -> Mapping[str, Any]:
    try:
        tree = _values(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: is not valid YAML ({' '.join(str(error).split())})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: must be a mapping such as 'training: {{epochs: 40}}', got a {type(tree).__name__}")
    return tree


def parse_value(text: str, item: str) -> Any:
    """The value of a setting in YAML, where 1e-3 is a number.

    Args:
        text: of the value.
        item: what was given, for the message.

    Raises:
        ConfigError: no valid YAML.
    """
    try:
        value = _values(text)
    except yaml.YAMLError:
        raise ConfigError(
            f"{item!r}: the value cannot be read as YAML; correct it, or quote it if it is text"
        ) from None
    if isinstance(value, str) and not text.lstrip().startswith(("'", '"')):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _set_dotted(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = _current_path(key)
    node = tree
    for depth, name in enumerate(parents):
        child = node.setdefault(name, {})
        if not isinstance(child, dict):
            raise ConfigError(f"override {key!r}: {'.'.join(parents[: depth + 1])} is a value and has no keys")
        node = child
    node[last] = value


def _current_path(key: str) -> list[str]:
    """The steps of a dotted key, earlier names of settings replaced by those of now."""
    section: Any = Recipe
    steps = []
    for name in key.split("."):
        steps.append(section.current_name(name) if is_section(section) else name)
        field = section.model_fields.get(steps[-1]) if is_section(section) else None
        section = None if field is None else field.annotation
    return steps
