"""Solvers of other packages behind one interface, for `compare_packages.py`; each package is optional."""

from other_packages import cdtools_models, ptychi_engines, ptychopinn_solver, ptylab_engines, ptyrad_model
from other_packages.interface import Method

METHODS: dict[str, Method] = {
    method.name: method
    for module in (ptychopinn_solver, ptychi_engines, ptyrad_model, cdtools_models, ptylab_engines)
    for method in module.METHODS
}
"""Every method by its name in the table."""
