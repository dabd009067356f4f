"""Write docs/config-mapping.md from the tables in the code: `python docs/make_config_mapping.py`."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path

from ptycho.config import to_recipe as older
from ptycho.config.arrival import Arrival, default_of
from ptycho.config.config import KEY_MAPPINGS, PyTorchExecutionConfig
from ptycho_torch import to_recipe as torch_side
from ptycho_torch.config_bridge import INFERENCE_STEPS, MODEL_STEPS, TRAINING_STEPS

PAGE = Path(__file__).with_name("config-mapping.md")

INTRODUCTION = """\
# Where every setting of the earlier system arrives

Made by `python docs/make_config_mapping.py` from the tables in the code; a test sets every field to another value and
finds it where this page says.

The client packages know two families of settings: the dataclasses of `ptycho.config.config` (TensorFlow-era contract)
and those of `ptycho_torch.config_params` (PyTorch contract). `recipe_of` in `ptycho.config.to_recipe` and
`ptycho_torch.to_recipe` makes a recipe of either; the recipe decides the result, and every run writes it. The legacy
dictionary `ptycho.params.cfg` is filled by `update_legacy_dict`, for the PyTorch family through
`ptycho_torch.config_bridge`.

How to read the tables:

- **Recipe** names the keys that a field sets. Where it says *read by*, the field is no setting of a recipe but others
  need it.
- **Not followed** means that the field reaches nothing, and why. Set to something else than its default, it gives one
  warning in the log (`ptychopinn`, or `ptychopinn-torch`), except for values that ask for what is done anyway.
- **Refused** means that any value but the default is an error, because it would change the result and cannot be
  followed.
- **None and `Default` mean that nothing was chosen**: our own default then stands.

The input of the network is always `lifted`, and every pattern is encoded alone (`grouping: single`): no older setting
speaks of either. The PyTorch dataclasses may hold words in any case; an unknown word is refused with the list of
those known.

## What differs from the earlier system

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

FAMILIES = (
    ("`ptycho.config.config`", older.TABLES, "ptycho"),
    ("`ptycho_torch.config_params`", torch_side.TABLES, "ptycho_torch"),
)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, tables, family in FAMILIES:
        parts.append(f"## {title}\n")
        for kind, table in tables.items():
            parts.append(f"### {kind.__name__}\n")
            parts.append("\n".join([*_head(), *(_row(item, kind, table, family) for item in fields(kind))]) + "\n")
    return "\n".join(parts)


def legacy_keys(kind: type, name: str, family: str) -> list[str]:
    """Keys of the legacy dictionary that a field becomes."""
    if kind is PyTorchExecutionConfig or (family == "ptycho" and name == "model"):
        return []
    targets = [name]
    if family == "ptycho_torch":
        steps = (all_steps.get(kind, {}).get(name) for all_steps in (MODEL_STEPS, TRAINING_STEPS, INFERENCE_STEPS))
        targets = list(dict.fromkeys(target for step in steps if step for target in (step.field, *step.also)))
    return [KEY_MAPPINGS.get(target, target) for target in targets]


def _head() -> list[str]:
    return ["| field | type | default | legacy dictionary | recipe | how, or why not |", "| --- " * 6 + "|"]


def _row(item: Field, kind: type, table: Mapping[str, Arrival], family: str) -> str:
    entry = table[item.name]
    legacy = ", ".join(f"`{key}`" for key in legacy_keys(kind, item.name, family))
    cells = [f"`{item.name}`", f"`{item.type}`", _default(item), legacy, _recipe(entry), _note(entry)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(item: Field) -> str:
    default = default_of(item)
    if default is MISSING:
        return "required"
    return f"`{str(default) if isinstance(default, Path) else repr(default)}`"


def _recipe(entry: Arrival) -> str:
    if entry.refused:
        return "refused"
    if entry.read_by:
        return f"read by {entry.read_by}"
    return ", ".join(f"`{path}`" for path in entry.paths) or "not followed"


def _note(entry: Arrival) -> str:
    notes = [entry.how, f"only with {entry.condition}" if entry.given else ""]
    notes += [f"`{value}`: {word}" for value, word in entry.caveats.items()]
    return "; ".join(note for note in notes if note)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
