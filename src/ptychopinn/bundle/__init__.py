"""The model archive: weights, recipe and manifest in one zip, no code inside (docs/specs/bundle_format.md)."""

from ptychopinn.bundle.content import BUNDLE_NAME, Bundle, Origin
from ptychopinn.bundle.manifest import FORMAT_VERSION, Manifest
from ptychopinn.bundle.store import bundle_file, holds_model, load_bundle, save_bundle
from ptychopinn.bundle.strict import load_state_strictly

__all__ = [
    "BUNDLE_NAME",
    "FORMAT_VERSION",
    "Bundle",
    "Manifest",
    "Origin",
    "bundle_file",
    "holds_model",
    "load_bundle",
    "load_state_strictly",
    "save_bundle",
]
