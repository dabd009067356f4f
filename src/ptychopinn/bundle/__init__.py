"""The model archive: weights, recipe and manifest in one zip, no code inside (docs/specs/bundle_format.md)."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
    from ptychopinn.bundle.content import Bundle, Origin
    from ptychopinn.bundle.manifest import BUNDLE_NAME, FORMAT_VERSION, Manifest
    from ptychopinn.bundle.recognise import bundle_file, holds_model
    from ptychopinn.bundle.store import load_bundle, save_bundle
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

__getattr__ = loads(
    globals(),
    {
        "BUNDLE_NAME": "ptychopinn.bundle.manifest",
        "Bundle": "ptychopinn.bundle.content",
        "Origin": "ptychopinn.bundle.content",
        "FORMAT_VERSION": "ptychopinn.bundle.manifest",
        "Manifest": "ptychopinn.bundle.manifest",
        "bundle_file": "ptychopinn.bundle.recognise",
        "holds_model": "ptychopinn.bundle.recognise",
        "load_bundle": "ptychopinn.bundle.store",
        "save_bundle": "ptychopinn.bundle.store",
        "load_state_strictly": "ptychopinn.bundle.strict",
    },
)
