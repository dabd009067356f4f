"""The table of contents of a bundle: what it is, who wrote it, and the hash of every member."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ptychopinn.config.backend import Backend
from ptychopinn.errors import BundleError, shown

FORMAT = "ptychopinn-bundle"
FORMAT_VERSION = "1.1"
"""major.minor; the policy stands in docs/specs/bundle_format.md."""

BUNDLE_NAME = "wts.h5.zip"
"""What a bundle is called inside a run's output folder."""
MANIFEST = "manifest.json"
RECIPE = "recipe.json"
PARAMS = "params.json"
ARRAYS = "arrays.safetensors"
WEIGHTS = "model/weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
WEIGHTS_OF: dict[Backend, str] = {"pytorch": WEIGHTS, "tensorflow": "model/weights_tensorflow.safetensors"}
"""Member with the weights of a backend."""
REQUIRED = (RECIPE, PARAMS, ARRAYS)
KNOWN = frozenset((*REQUIRED, *WEIGHTS_OF.values(), OPTIMIZER))
"""Members that a bundle may hold beside its manifest."""


class FileEntry(BaseModel):
    """What the manifest says about one member."""

    model_config = ConfigDict(frozen=True, strict=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """The parsed `manifest.json`; keys added by a later minor version are ignored."""

    model_config = ConfigDict(frozen=True)

    format: Literal["ptychopinn-bundle"] = "ptychopinn-bundle"
    format_version: str = FORMAT_VERSION
    backend: Backend = "pytorch"
    """The backend that runs the model unless another one is asked for."""
    weights: dict[Backend, str] = {"pytorch": WEIGHTS}
    """Backend -> member with its weights. Where there are several they are the same numbers."""
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    package_version: str
    created_utc: str
    files: dict[str, FileEntry]

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Whose weights are there, the one that runs the model first."""
        return (self.backend, *(name for name in self.weights if name != self.backend))

    @classmethod
    def describe(
        cls, members: Mapping[str, bytes], models: tuple[str, ...], backends: Sequence[Backend] = ("pytorch",)
    ) -> "Manifest":
        """The manifest of a bundle that is being written; the first of the backends runs it."""
        return cls(
            backend=backends[0],
            weights={backend: WEIGHTS_OF[backend] for backend in backends},
            models=models,
            package_version=version("ptychopinn"),
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            files={name: _describe(data) for name, data in members.items()},
        )


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read `manifest.json`: format, version and backend are judged before anything else.

    Raises:
        BundleError: not a manifest, a newer major version, or another backend's bundle.
    """
    tree = parse_json(data, where, MANIFEST)
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise BundleError(f"{where}: {MANIFEST} does not say format '{FORMAT}', so this is no PtychoPINN model bundle")
    tree["format_version"] = _checked_version(tree.get("format_version"), tree.get("package_version"), where)
    backend = tree.get("backend")
    if backend not in WEIGHTS_OF:
        raise BundleError(
            f"{where}: the bundle's backend is {shown(repr(backend))} but only bundles of the backends "
            f"{', '.join(WEIGHTS_OF)} are read here; load it with the backend that wrote it"
        )
    try:
        manifest = Manifest.model_validate(tree)
        _check_weights(manifest, where)
        return manifest
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        raise BundleError(f"{where}: {MANIFEST} is damaged at {shown(key)} ({shown(first['msg'].lower())})") from None


def parse_json(data: bytes, where: str, member: str) -> Any:
    """JSON text of one member.

    Raises:
        BundleError: the text is not valid JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: {member} is not valid JSON ({shown(error)}); the bundle is damaged") from None


def _check_weights(manifest: Manifest, where: str) -> None:
    """Refuse a table of weights that does not fit the members."""
    weights = manifest.weights
    if manifest.backend not in weights or any(WEIGHTS_OF[backend] != name for backend, name in weights.items()):
        raise BundleError(
            f"{where}: {MANIFEST} must name the weights of the backend {manifest.backend}, got {shown(str(weights))}; "
            "the bundle is damaged"
        )


def _describe(data: bytes) -> FileEntry:
    return FileEntry(sha256=sha256(data).hexdigest(), bytes=len(data))


def _checked_version(value: Any, writer: Any, where: str) -> str:
    major, _, minor = str(value).partition(".")
    if not (major.isascii() and major.isdigit() and len(major) < 6) or len(minor) > 20:
        raise BundleError(f"{where}: {MANIFEST} has no readable format_version; the bundle is damaged")
    ours = FORMAT_VERSION.partition(".")[0]
    if int(major) > int(ours):
        raise BundleError(
            f"{where}: format_version {shown(value)} (written by ptychopinn {shown(writer)}) is newer than {ours}.x, "
            "the newest that is read here; upgrade ptychopinn"
        )
    return str(value)
