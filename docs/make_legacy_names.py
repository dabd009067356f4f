"""Write docs/dev/legacy_names.md: every promised name of legacy PtychoPINN, imported, and its parameters compared.

    python docs/make_legacy_names.py

docs/dev/legacy_names.txt holds the promise. A name counts as there if it can be imported, and its signature as the same
if the promised parameters come in the promised order with the promised defaults; further ones may follow.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/dev/legacy_names.md"
PROMISE = ROOT / "docs/dev/legacy_names.txt"

LATER: dict[str, str] = {}
"""Names that are absent on purpose, with what brings them."""

INTRODUCTION = """\
# Every promised name of legacy PtychoPINN

Made by `python docs/make_legacy_names.py` from [legacy_names.txt](legacy_names.txt) and the code. *same* means: the
promised parameters, in the promised order, with the promised defaults; *more* means that further parameters follow.
The last column names a test that uses the name.

| name | signature | test |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Promise:
    """One promised name."""

    module: str
    name: str
    """With its class in front, where it has one."""
    parameters: tuple[tuple[str, str | None], ...] | None = None
    """(name, default as text) of each parameter; None for a name without a promised signature."""
    default: str | None = None
    """For a field, its default as text; empty where the promise states none."""

    @property
    def full(self) -> str:
        """With the module."""
        return f"{self.module}.{self.name}"

    @property
    def later(self) -> str:
        """What will bring it, for a name that is absent on purpose."""
        return next((why for name, why in LATER.items() if self.full == name or self.full.startswith(f"{name}.")), "")


def promises() -> list[Promise]:
    """All of them, each once."""
    found: dict[tuple[str, str], Promise] = {}
    for promise in _read(PROMISE.read_text(encoding="utf-8").splitlines()):
        key = (promise.module, promise.name)
        if key not in found or promise.parameters is not None:
            found[key] = promise
    return list(found.values())


def _read(lines: list[str]) -> Iterator[Promise]:
    module, owner = "", ""
    for line in lines:
        text = line.strip()
        if line.startswith("## "):
            module, owner = line[3:].removesuffix(".py").replace("/", "."), ""
        elif match := re.fullmatch(r"(ptycho[\w.]*): (.+)", line):
            yield from (Promise(match[1], name.strip()) for name in match[2].split(","))
        elif text.startswith("class "):
            owner = text.removeprefix("class ")
            yield Promise(module, owner)
        elif text.startswith(". "):
            name, _, rest = text[2:].partition(":")
            yield Promise(module, f"{owner}.{name}", default=rest.partition(" = ")[2])
        elif text:
            inside = line.startswith("      ")
            owner = owner if inside else ""
            bare = re.sub(r"^(@\w+ )+", "", text)
            name = bare.partition("(")[0]
            full = owner if name == "__init__" else f"{owner}.{name}" if owner else name
            yield Promise(module, full, None if "@property" in text else _parameters(bare))


def _parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    """The parameters of a written signature, without `self` and `cls`."""
    text = re.sub(r" \(means [^)]*\)", "", text)
    tree = ast.parse(f"def {text.partition(' -> ')[0]}: pass").body[0]
    assert isinstance(tree, ast.FunctionDef)
    given = tree.args
    ordered = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(ordered) - len(given.defaults)) + [ast.unparse(one) for one in given.defaults]
    found = [(one.arg, default) for one, default in zip(ordered, defaults, strict=True)]
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    found += [(one.arg, None if default is None else ast.unparse(default)) for one, default in keywords]
    return tuple(pair for pair in found if pair[0] not in ("self", "cls"))


def resolved(promise: Promise) -> Any:
    """The object of a promised name; raises what the import or the look-up raises."""
    value: Any = importlib.import_module(promise.module)
    for part in promise.name.split("."):
        if is_dataclass(value) and part not in dir(value) and part in value.__dataclass_fields__:
            return value.__dataclass_fields__[part]
        if part in getattr(value, "model_fields", {}):
            return value.model_fields[part]
        if not hasattr(value, part) and inspect.ismodule(value):
            return importlib.import_module(f"{value.__name__}.{part}")
        value = getattr(value, part)
    return value


def verdict(promise: Promise) -> str:
    """`same`, `more`, `there` for a name without signature, or what differs."""
    try:
        value = resolved(promise)
    except (ImportError, AttributeError) as error:
        return (promise.later and f"later: {promise.later}") or f"absent ({type(error).__name__})"
    if promise.default is not None:
        return _field_verdict(promise, value)
    if promise.parameters is None:
        return "there"
    return compared(promise.parameters, value, "." in promise.name)


def compared(promised: tuple[tuple[str, str | None], ...], value: Any, in_class: bool) -> str:
    """What differs between the promised parameters and those of a callable."""
    ours = [one for one in inspect.signature(value).parameters.values() if one.name not in ("self", "cls")]
    named = [one for one in ours if one.kind is not one.VAR_KEYWORD and one.kind is not one.VAR_POSITIONAL]
    if [one.name for one in named[: len(promised)]] != [name for name, _ in promised]:
        return f"differs: ({', '.join(one.name for one in ours)})"
    for one, (name, default) in zip(named, promised, strict=False):
        if default is not None and _shown(one.default) != _normal(default):
            return f"differs: {name} is {_shown(one.default)} by default, promised {default}"
    required = [one.name for one in named[len(promised) :] if one.default is one.empty]
    if required:
        return f"differs: {', '.join(required)} is needed too"
    return "same" if len(named) == len(promised) else "more"


def _field_verdict(promise: Promise, value: Any) -> str:
    owner: Any = importlib.import_module(promise.module)
    kind = getattr(owner, promise.name.partition(".")[0])
    name = promise.name.partition(".")[2]
    if is_dataclass(kind):
        item = next(one for one in fields(kind) if one.name == name)
        default = "field(default_factory=dict)" if item.default_factory is dict else _shown(item.default)
        default = "" if item.default is MISSING and item.default_factory is MISSING else default
    else:
        item = kind.model_fields[name]
        default = "" if item.is_required() else _shown(item.default)
    wanted = _normal(promise.default or "") if promise.default else ""
    return "same" if not wanted or default == wanted else f"differs: {default} by default, promised {wanted}"


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return value.__name__ if inspect.isclass(value) else repr(value)


def _normal(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


@cache
def tests() -> dict[str, tuple[str, str]]:
    """Source of every test function by name, with the examples that it runs, and the text of its file."""
    found: dict[str, tuple[str, str]] = {}
    files = sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: ("compat" not in path.parts, str(path)))
    for path in files:
        text = path.read_text(encoding="utf-8")
        scripts = re.findall(r"earlier_\w+\.py", text)
        examples = "".join((ROOT / "examples/legacy" / name).read_text(encoding="utf-8") for name in scripts)
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                source = ast.get_source_segment(text, node) or ""
                runs = examples if "end_to_end" in node.name else ""
                found.setdefault(node.name, (source + runs, text + examples))
    return found


def uses(test: tuple[str, str], promise: Promise) -> bool:
    """Whether a test uses the last part of a name, in a file that knows its package and its class."""
    source, whole = test
    package, last = promise.module.split(".")[0], promise.name.rpartition(".")[2]
    spelled = {"__call__": r"(?<!def )\b(model|other)\(", "__getitem__": r'\["diffraction_to_obj"\]'}.get(
        last, rf"\b{re.escape(last)}\b"
    )
    return re.search(rf"\b{package}\b", whole) is not None and re.search(spelled, source) is not None


def page() -> str:
    """The whole page; the test that it names for a row stays while it still uses the name."""
    before = dict(re.findall(r"^\| `([^`]+)` \| .* \| `(test_\w+)` \|$", _old(), flags=re.MULTILINE))
    rows = []
    for promise in promises():
        kept = before.get(promise.full, "")
        if not kept or not uses(tests().get(kept, ("", "")), promise):
            kept = next((name for name, test in tests().items() if uses(test, promise)), "")
        test = "" if promise.later else f"`{kept}`" if kept else "none"
        rows.append(f"| `{promise.full}` | {verdict(promise)} | {test} |")
    return INTRODUCTION + "\n".join(rows) + "\n"


def _old() -> str:
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
