"""The model archive: weights, recipe and manifest in one zip, no code inside (docs/specs/bundle_format.md)."""

from ptychopinn.bundle.manifest import FORMAT_VERSION, Manifest
from ptychopinn.bundle.store import BUNDLE_NAME, Bundle, bundle_file, load_bundle, save_bundle
from ptychopinn.bundle.strict import load_state_strictly

__all__ = [
    "BUNDLE_NAME",
    "FORMAT_VERSION",
    "Bundle",
    "Manifest",
    "bundle_file",
    "load_bundle",
    "load_state_strictly",
    "save_bundle",
]
