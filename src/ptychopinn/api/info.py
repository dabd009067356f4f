"""`info`: what is in a scan, and what may go wrong with it, before anything is trained."""

from collections.abc import Sequence
from dataclasses import replace

from ptychopinn.api.inputs import RecipeSource, ScanSource, as_recipe, opened_scan, problems_of
from ptychopinn.api.scan_facts import facts_of
from ptychopinn.api.scan_info import ScanInfo


def info(scan: ScanSource, recipe: RecipeSource = None, *, overrides: Sequence[str] = ()) -> ScanInfo:
    """Describe a scan and list what looks wrong.

    Args:
        scan: a file, or a `Scan`.
        recipe: its `data` section says how the file is read.
        overrides: `section.key=value` texts.

    Raises:
        PtychoPINNError: the recipe or the scan cannot be used.

    >>> from ptychopinn.api.simulate import simulate
    >>> made = simulate(overrides=["simulation.object_size_px=64", "simulation.probe_size_px=32"])
    >>> about = info(made.scan)
    >>> about.domain, about.probe_modes, 0.5 < about.photon_ratio < 1
    ('counts', 1, True)
    """
    settings = as_recipe(recipe, overrides)
    data = opened_scan(scan, settings)
    facts = facts_of(data)
    return replace(facts, problems=problems_of(data, facts, settings))
