"""The packages with the earlier names stay thin: what computes stands in the core."""

from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.mark.parametrize(("package", "most"), [("ptycho", 3600), ("ptycho_torch", 3400)])
def test_the_packages_of_the_earlier_names_stay_thin(package: str, most: int) -> None:
    files = sorted((SOURCE / package).rglob("*.py"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= most
