"""Every promised name of legacy PtychoPINN is there, with the promised parameters; the table of them is up to date."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs/make_legacy_names.py"


@pytest.fixture(scope="module")
def made() -> Any:
    spec = importlib.util.spec_from_file_location("make_legacy_names", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    __import__("sys").modules["make_legacy_names"] = module
    spec.loader.exec_module(module)
    return module


def test_nothing_is_absent(made: Any) -> None:
    verdicts = {promise.full: made.verdict(promise) for promise in made.promises()}
    assert len(verdicts) > 250
    assert {name: text for name, text in verdicts.items() if text not in ("same", "more", "there")} == {}


def test_every_name_is_used_by_a_test(made: Any) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.*) \|$", made.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, verdict, test in rows if not verdict.startswith("later") and not test.startswith("`")] == []


def test_the_table_is_up_to_date(made: Any) -> None:
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: python docs/make_legacy_names.py"


@pytest.mark.shared_data
def test_the_promise_is_that_of_the_contract(made: Any, shared_dir: Path) -> None:
    contract = (shared_dir / "contracts/legacy_signatures.md").read_text(encoding="utf-8")
    assert contract.split("```")[1].strip() in made.PROMISE.read_text(encoding="utf-8")


def test_a_difference_would_be_seen(made: Any) -> None:
    def ours(a: int, b: int = 2, *, c: int = 3) -> None: ...

    assert made.compared((("a", None), ("b", "2")), ours, False) == "more"
    assert made.compared((("a", None), ("b", "3")), ours, False).startswith("differs: b is 2")
    assert made.compared((("b", "2"), ("a", None)), ours, False).startswith("differs: (a, b, c)")
