"""Write docs/config-mapping.md from what stands on the fields of the settings: `python docs/make_config_mapping.py`."""

import inspect
import types
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ptycho.config import config as older
from ptycho.config.field_mapping import FieldMapping, default_of, marks
from ptycho_torch import config_params as newer
from ptycho_torch.config_bridge import steps

PAGE = Path(__file__).with_name("config-mapping.md")

INTRODUCTION = """\
# Where every setting of legacy PtychoPINN arrives

Made by `python docs/make_config_mapping.py` from the annotations of the fields; a test sets every field to another
value and finds it where this page says.

The client packages know two families of settings: the dataclasses of `ptycho.config.config` (TensorFlow-era contract)
and those of `ptycho_torch.config_params` (PyTorch contract). `recipe_of` in `ptycho.config.to_recipe` and
`ptycho_torch.to_recipe` makes a recipe of either; the recipe decides the result, and every run writes it. The legacy
dictionary `ptycho.params.cfg` is filled by `update_legacy_dict`, for the PyTorch family through
`ptycho_torch.config_bridge`.

How to read the tables:

- **Recipe** names the keys that a field sets. Where it says *read by*, the field is no setting of a recipe but others
  need it.
- **Not followed** means that the field has no effect, and why. Set to something else than its default, it gives one
  warning in the log (`ptychopinn`, or `ptychopinn-torch`), except for values that ask for what is done anyway.
- **Refused** means that any value but the default is an error, because it would change the result and cannot be
  followed.
- **None and `Default` mean that nothing was chosen**: the default of the recipe then stands.

The input of the network is always the back-projected pattern, and every pattern is encoded alone
(`grouping: single`): no older setting changes either. The PyTorch dataclasses may hold words in any case; an unknown
word is refused with the list of those known.

## What differs from legacy PtychoPINN

Each line has a named test.

| what | earlier | here |
| --- | --- | --- |
| `n_groups=None` | 512 groups | every pattern of the scan |
| `backend` | `tensorflow` | `pytorch` |
| `batch_size` | a power of two | any number from 1 |
| `probe_scale=0` | refused | accepted: counts carry their own scale |
| `architecture="hybrid"` | unknown | known |
| `ModelConfig` | frozen | can be changed: clients set `N` after they have read the scan |
| `scheduler="Default"` | constant learning rate | a cosine; `Constant` is constant |
| more groups than patterns at gridsize 1 | each pattern once | the same, where the number of patterns is known |
| C and `grid_size` disagree | undefined | C counts, and the log says so |
"""

FAMILIES: dict[str, tuple[type, ...]] = {
    "ptycho.config.config": (
        older.ModelConfig,
        older.TrainingConfig,
        older.InferenceConfig,
        older.PyTorchExecutionConfig,
    ),
    "ptycho_torch.config_params": (
        newer.DataConfig,
        newer.ModelConfig,
        newer.TrainingConfig,
        newer.InferenceConfig,
        newer.DatagenConfig,
    ),
}
"""The classes of settings of each module."""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for module, kinds in FAMILIES.items():
        parts.append(f"## `{module}`\n")
        for kind in kinds:
            parts.append(f"### {kind.__name__}\n")
            own_first = sorted(marks(kind, FieldMapping).items(), key=lambda pair: pair[0] not in kind.__annotations__)
            rows = (_row(name, entry, kind) for name, entry in own_first)
            parts.append("\n".join([*_head(), *rows]) + "\n")
    return "\n".join(parts)


def legacy_keys(kind: type, name: str) -> list[str]:
    """Keys of the legacy dictionary that a field becomes."""
    if kind is older.PyTorchExecutionConfig or name == "model":
        return []
    targets = [name]
    if kind in FAMILIES["ptycho_torch.config_params"]:
        into = (older.ModelConfig, older.TrainingConfig, older.InferenceConfig)
        found = (steps(kind, target).get(name) for target in into if kind is not newer.InferenceConfig)
        targets = list(dict.fromkeys(target for step in found if step for target in (step.field, *step.also)))
    return [older.KEY_MAPPINGS.get(target, target) for target in targets]


def _head() -> list[str]:
    return ["| field | type | default | legacy dictionary | recipe | how, or why not |", "| --- " * 6 + "|"]


def _row(name: str, entry: FieldMapping, kind: type) -> str:
    legacy = ", ".join(f"`{key}`" for key in legacy_keys(kind, name))
    item = kind.__dataclass_fields__[name]
    hint = _hint(get_type_hints(kind)[name])
    cells = [f"`{name}`", f"`{hint}`", _default(item), legacy, _recipe(entry), _note(entry)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _hint(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(_hint(part) for part in get_args(hint))
    if hint is types.NoneType:
        return "None"
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else inspect.formatannotation(hint)


def _default(item: Field) -> str:
    default = default_of(item)
    if default is MISSING:
        return "required"
    return f"`{str(default) if isinstance(default, Path) else repr(default)}`"


def _recipe(entry: FieldMapping) -> str:
    if entry.refused:
        return "refused"
    if entry.read_by:
        return f"read by {entry.read_by}"
    return ", ".join(f"`{path}`" for path in entry.paths) or "not followed"


def _note(entry: FieldMapping) -> str:
    notes = [entry.how, f"only with {entry.condition}" if entry.given else ""]
    notes += [f"`{value}`: {word}" for value, word in entry.caveats.items()]
    return "; ".join(note for note in notes if note)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
