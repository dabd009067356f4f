"""Print the lowest version of every dependency that pyproject.toml allows, as constraints for pip.

    python scripts/minimum_constraints.py > constraints.txt
    python -m pip install -e '.[test]' -c constraints.txt

Only bounds `>=` are printed; what is pinned with `==` is pinned in pyproject.toml already.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
LOWER_BOUND = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*(?:[^;]*,)?\s*>=\s*(?P<version>[^\s,;]+)")


def minimum_constraints(project: Mapping[str, Any], extras: Iterable[str] = ("tools",)) -> list[str]:
    """Lines `name==version` for the dependencies of a project and of some of its extras, those with a lower bound.

    Args:
        project: the table `project` of pyproject.toml.
        extras: names of `optional-dependencies`.

    >>> minimum_constraints({"dependencies": ["numpy>=1.26", "rich>=13,<15", "tqdm"]}, extras=())
    ['numpy==1.26', 'rich==13']
    """
    optional = project.get("optional-dependencies", {})
    requirements = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    bounds = [LOWER_BOUND.match(line) for line in requirements]
    return [f"{bound['name']}=={bound['version']}" for bound in bounds if bound]


if __name__ == "__main__":
    with PYPROJECT.open("rb") as file:
        sys.stdout.write("\n".join(minimum_constraints(tomllib.load(file)["project"])) + "\n")
