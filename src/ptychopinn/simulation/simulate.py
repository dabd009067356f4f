"""A whole simulated experiment."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import ModelConfig
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.data.geometry import FieldKind, Geometry
from ptychopinn.data.propagation import of_geometry
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.illumination import with_modes
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.simulation.detector import draw_defects
from ptychopinn.simulation.fields import Texture
from ptychopinn.simulation.files import load_object, load_picture, load_positions, load_probe
from ptychopinn.simulation.objects import OBJECTS, draw_texture, transmission
from ptychopinn.simulation.probes import make_probe, scaled_probe
from ptychopinn.simulation.record import object_patches, record_patterns
from ptychopinn.simulation.scans import centred, make_positions, misplaced, position_bounds
from ptychopinn.simulation.textures import text

OBJECT, POSITIONS, COUNTS, DEFECTS, ERRORS, BEAM = range(6)
"""Streams of random numbers of an experiment."""


def simulate(config: SimulationConfig, model: ModelConfig | None = None) -> Scan:
    """Draw an object, a beam and positions, and record the patterns.

    The seed fixes everything, byte for byte, on one kind of device. Object, positions, counts, bad pixels and position
    errors have random numbers of their own, so that a change of the dose keeps the sample and the positions.

    Args:
        config: object, beam, positions, dose and detector.
        model: its `propagation` decides how waves reach the detector, and its `background` what is counted beside them;
            the far field without background by default. For any other propagator the scan states energy, distance and
            pixel of the configuration, which give the Fresnel number. Positions are always exact, whatever `subpixel`.

    Returns:
        A scan in counts with the true probe and, as `object_guess`, the true object, whose element (0, 0) is
        the origin of the positions. Without Poisson noise the patterns are the expected counts, float32.

    Raises:
        ConfigError: the object has no room for one patch, or cannot be drawn.
        ScanError: a file of object, probe or positions cannot be used.
        PtychoPINNError: a patch at a position of a file leaves the object.

    >>> scan = simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=8))
    >>> scan.domain, scan.patterns.shape, scan.patterns.dtype.name
    ('counts', (16, 16, 16), 'uint16')
    """
    object_, origin_px = sample(config)
    probe = illumination(config)
    settings = model or ModelConfig()
    geometry, pixel_size_m = _geometry(config, settings.propagation)
    positions = _positions(config, (object_.shape[0], object_.shape[1]), origin_px)
    return record_scan(
        object_,
        probe,
        positions,
        seed=config.seed,
        poisson_noise=config.poisson_noise,
        beamstop_diameter_px=config.beamstop_diameter_px,
        bad_pixel_fraction=config.bad_pixel_fraction,
        position_error_px=config.position_error_px,
        labels=config.labels,
        device=config.device,
        metadata=_metadata(config) | ({"background": settings.background} if settings.background else {}),
        model=_forward(settings, geometry),
        geometry=geometry,
        pixel_size_m=pixel_size_m,
        relaxation=_relaxation(config, probe, len(positions)),
    )


def record_scan(
    object_: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64],
    *,
    mean_photons: float | None = None,
    seed: int = 0,
    poisson_noise: bool = True,
    beamstop_diameter_px: float = 0.0,
    bad_pixel_fraction: float = 0.0,
    position_error_px: float = 0.0,
    labels: bool = False,
    device: str = "auto",
    metadata: Mapping[str, Any] | None = None,
    model: DiffractionModel | None = None,
    geometry: Geometry | None = None,
    pixel_size_m: float | None = None,
    relaxation: ProbeRelaxation | None = None,
) -> Scan:
    """Record a given object with a given probe at given positions.

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons): its photons are the dose.
        positions_px: (N, 2), (y, x), in the frame of `object_`.
        mean_photons: of a pattern, to which the probe is scaled by `calibrated_probe`; None keeps it as it is.
        seed: fixes counts, bad pixels and position errors.
        poisson_noise: draw counts; else the expected counts are recorded.
        beamstop_diameter_px: of a disk about the zero frequency that records nothing.
        bad_pixel_fraction: part of the pixels that are dead or hot.
        position_error_px: root mean square distance of recorded and true positions. The true ones then go to the
            metadata, as `true_positions_px`.
        labels: add the patch that each pattern saw, at its true position.
        device: where patterns are computed.
        metadata: what else the scan shall say.
        model: from the sample to expected counts; the far field with shifted probes and no background by default.
        geometry: what the scan states of energy, distance and detector.
        pixel_size_m: of the object.
        relaxation: how the probe varies from position to position. Its weights then go to the metadata, as
            `true_relaxation_weights`.

    Raises:
        PtychoPINNError: a patch leaves the object, or no such device.
    """
    if mean_photons is not None:
        probe = calibrated_probe(object_, probe, positions_px, mean_photons, device)
    streams = np.random.default_rng(seed).spawn(5)
    size, about = probe.shape[-1], dict(metadata or {})
    rng = streams[COUNTS] if poisson_noise else None
    patterns = record_patterns(object_, probe, positions_px, rng, device=device, model=model, relaxation=relaxation)
    if relaxation is not None:
        about["true_relaxation_weights"] = relaxation.weights.tolist()
    defects = draw_defects(
        size,
        streams[DEFECTS],
        beamstop_diameter_px=beamstop_diameter_px,
        bad_pixel_fraction=bad_pixel_fraction,
    )
    recorded_px = positions_px
    if position_error_px > 0:
        bounds = position_bounds((object_.shape[0], object_.shape[1]), (size, size))
        recorded_px = misplaced(positions_px, position_error_px, bounds, streams[ERRORS])
        about["true_positions_px"] = positions_px.tolist()
    return Scan.create(
        defects.recorded(patterns),
        recorded_px,
        probe,
        domain="counts",
        object_guess=object_,
        truth_patches=object_patches(object_, positions_px, size) if labels else None,
        bad_pixels=defects.bad_pixels,
        metadata=about,
        geometry=geometry or Geometry(),
        pixel_size_m=pixel_size_m,
        source="simulated",
    )


def record_at_random(
    object_: NDArray[np.complex64], probe: NDArray[np.complex64], count: int, *, seed: int = 0, **record: Any
) -> Scan:
    """Record an object with a probe at `count` independent positions, evenly distributed over the object.

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons).
        count: number of patterns.
        seed: fixes the positions, and what it fixes in `record_scan`.
        record: the other arguments of `record_scan`.

    Raises:
        ConfigError: the object is too small for one patch.
    """
    low, high = position_bounds((object_.shape[0], object_.shape[1]), (probe.shape[-2], probe.shape[-1]))
    positions = np.random.default_rng(seed).spawn(5)[POSITIONS].uniform(low, high, (count, 2))
    return record_scan(object_, probe, positions, seed=seed, **record)


def record_each(
    objects: Sequence[NDArray[np.complex64]],
    probes: Sequence[NDArray[np.complex64]],
    count: int,
    *,
    seed: int = 0,
    **record: Any,
) -> Iterator[Scan]:
    """Record each object with its probe, or with the only one, by `record_at_random`; scan i has the seed `seed` + i.

    Args:
        objects: (Y, X) each.
        probes: (M, H, W), sqrt(photons), each.
        count: number of patterns of each scan.
        seed: of the first scan.
        record: the other arguments of `record_scan`.

    Raises:
        ConfigError: neither one probe nor one for each object, when called; or an object that is too small for one
            patch, when its scan is recorded.
    """
    if len(probes) not in (1, len(objects)):
        given = f"{len(objects)} objects and {len(probes)} probes"
        raise ConfigError(f"{given}; give one probe, or one for each object")
    return (
        record_at_random(object_, probes[i % len(probes)], count, seed=seed + i, **record)
        for i, object_ in enumerate(objects)
    )


def sample(config: SimulationConfig) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """The object (Y, X) of a configuration, and the coordinate (y, x) of its element (0, 0)."""
    if config.object_kind == "file" and config.object_file is not None:
        return load_object(config.object_file)
    texture = _texture(config, np.random.default_rng(config.seed).spawn(5)[OBJECT])
    object_ = transmission(texture, amplitude_min=config.amplitude_min, phase_range_rad=config.phase_range_rad)
    return object_, np.zeros(2)


def illumination(config: SimulationConfig) -> NDArray[np.complex64]:
    """The probe (M, H, W) of a configuration, sqrt(photons)."""
    dose, ratio = config.photons_per_pattern, config.probe_mode_ratio
    if config.probe_kind == "file" and config.probe_file is not None:
        probe = load_probe(config.probe_file, config.probe_size_px)
        return scaled_probe(probe, dose, modes=config.probe_modes, mode_ratio=ratio)
    return make_probe(
        config.probe_kind,
        config.probe_size_px,
        modes=config.probe_modes or 1,
        photons_per_pattern=dose,
        mode_ratio=ratio,
        diameter_px=config.probe_diameter_px,
        central_stop=config.probe_central_stop,
        defocus_px=config.probe_defocus_px,
        zernike=config.probe_zernike,
    )


def _relaxation(config: SimulationConfig, probe: NDArray[np.complex64], count: int) -> ProbeRelaxation | None:
    """How the probe of a configuration varies over `count` patterns: added modes, each with a random phase."""
    if not config.probe_relaxation:
        return None
    rng = np.random.default_rng(config.seed).spawn(BEAM + 1)[BEAM]
    first = torch.from_numpy(probe[:1])
    modes = with_modes(first, 1 + config.probe_relaxation, config.probe_relaxation_power)[1:]
    photons = config.probe_relaxation_power * np.square(np.abs(probe), dtype=np.float64).sum()
    norms = torch.linalg.vector_norm(modes.flatten(1), dim=1)
    phases = torch.from_numpy(np.exp(2j * np.pi * rng.uniform(size=len(modes)))).to(modes)
    modes = modes * (phases * float(np.sqrt(photons)) / norms)[:, None, None]
    changes = modes.new_zeros(len(modes), *probe.shape)
    changes[:, 0] = modes
    weights = rng.standard_normal((count, len(modes)))
    weights = (weights - weights.mean(0)) / np.maximum(weights.std(0), 1e-12)
    return ProbeRelaxation(changes, torch.from_numpy(weights))


def calibrated_probe(
    object_: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64],
    mean_photons: float,
    device: str = "auto",
) -> NDArray[np.complex64]:
    """The probe, scaled so that the patterns of this object at these positions hold `mean_photons` on average.

    `photons_per_pattern` of a configuration counts the photons where the object is 1; this counts what comes through.

    Raises:
        PtychoPINNError: a patch leaves the object, or no such device.
    """
    expected = record_patterns(object_, probe, positions_px, None, device=device)
    mean = expected.sum(axis=(1, 2), dtype=np.float64).mean()
    return (probe * np.sqrt(mean_photons / mean)).astype(np.complex64)


def with_object(
    scan: Scan, object_: NDArray[np.complex64], origin_px: NDArray[Any], probe: NDArray[np.complex64] | None = None
) -> Scan:
    """A measured scan with an object that was reconstructed from it, and labels cut from that object.

    The positions move with the origin, so that they lie in the frame of the object.

    Args:
        scan: what was measured.
        object_: (Y, X).
        origin_px: (y, x), coordinate of its element (0, 0) among the positions of the scan.
        probe: (M, H, W), the one that belongs to the object; by default that of the scan.

    Raises:
        PtychoPINNError: a patch leaves the object.
    """
    positions = scan.positions_px - origin_px
    nominal = scan.nominal_positions_px
    return Scan.create(
        scan.patterns,
        positions,
        scan.probe if probe is None else probe,
        **{name: getattr(scan, name) for name in ("domain", "domain_reason", "bad_pixels", "scan_index")},
        nominal_positions_px=None if nominal is None else nominal - origin_px,
        object_guess=object_,
        truth_patches=object_patches(object_, positions, scan.pattern_size),
        pixel_size_m=scan.pixel_size_m,
        metadata=scan.metadata | {"labels": "cut from a reconstructed object"},
        source=scan.source,
    )


def _texture(config: SimulationConfig, rng: np.random.Generator) -> Texture:
    shape = config.object_shape
    if config.object_kind == "image" and config.object_file is not None:
        dense = 1 - load_picture(config.object_file, shape)
        delay = dense if config.phase_image_file is None else 1 - load_picture(config.phase_image_file, shape)
        return Texture(dense, delay)
    draw = OBJECTS[config.object_kind]
    if config.object_kind == "text":
        draw = partial(text, words=config.object_text)
    return draw_texture(draw, shape, rng, config.object_correlation)


def _positions(
    config: SimulationConfig, object_shape: tuple[int, int], origin_px: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions of a configuration; those of a file keep their place in an object from a file only."""
    size = config.probe_size_px
    bounds = position_bounds(object_shape, (size, size))
    if config.scan_kind == "file" and config.scan_file is not None:
        given = load_positions(config.scan_file, size)
        return given - origin_px if config.object_kind == "file" else centred(given, bounds)
    rng = np.random.default_rng(config.seed).spawn(5)[POSITIONS]
    return make_positions(config.scan_kind, bounds, rng, step_px=config.step_px, jitter_px=config.jitter_px)


def _geometry(config: SimulationConfig, propagation: str) -> tuple[Geometry, float | None]:
    """What the scan states, and its object pixel: nothing of the far field, where patterns depend on neither."""
    if propagation == "far_field":
        return Geometry(), None
    stated: FieldKind | None = "near_field" if propagation == "near_field" else None
    geometry = Geometry(
        config.energy_eV, config.distance_m, config.pixel_m, propagation=stated, propagation_reason="simulated"
    )
    return geometry, config.pixel_m


def _forward(model: ModelConfig, geometry: Geometry) -> DiffractionModel:
    return DiffractionModel.of(of_geometry(model.changed(subpixel="probe"), geometry))


def _metadata(config: SimulationConfig) -> dict[str, object]:
    return {
        "simulated": True,
        "photons_per_pattern": config.photons_per_pattern,
        "seed": config.seed,
        "object_kind": config.object_kind,
        "probe_kind": config.probe_kind,
        "scan_kind": config.scan_kind,
        "noise": "poisson" if config.poisson_noise else "none: patterns are expected counts",
        "object_guess": "true object",
        "simulation": config.model_dump(mode="json"),
    }
