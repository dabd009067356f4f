"""The examples in the docstrings of the page run; pytest does not collect them, since they need Bokeh."""

import doctest
import importlib
import pkgutil

import ptychopinn.web


def test_the_examples_run() -> None:
    names = [module.name for module in pkgutil.iter_modules(ptychopinn.web.__path__)]
    done = [doctest.testmod(importlib.import_module(f"ptychopinn.web.{name}")) for name in names]
    assert sum(one.failed for one in done) == 0
    assert sum(one.attempted for one in done) >= 3
