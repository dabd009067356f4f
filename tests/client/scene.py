"""Small scans in ptychodus' own structures, simulated by ptychodus' own forward model, written by its own writers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.io import save_diffraction_data, save_product
from ptychodus.api.object import Object, ObjectCenter, compute_object_geometry
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product, ProductMetadata
from ptychodus.api.simulate.diffraction import generate_diffraction_data
from scipy.ndimage import gaussian_filter, shift

PATTERN_PX = 32
PIXEL = PixelGeometry(width_m=20e-9, height_m=20e-9)
PHOTONS = 2e5
STEP_PX = 5.0


def write_scene(folder: Path, modes: int) -> None:
    """Write `diffraction.h5` (uint16), `product.h5` (true object), `flat.h5` and `wide.h5` into a folder.

    The scan has no symmetry: its outline is a trapezium of 78 points. `flat.h5` holds the same product with the
    object 1 everywhere; `wide.h5` a flat object that reaches 17 rows and 6 columns further than the scan, on one
    side only.
    """
    rng = np.random.default_rng(20 + modes)
    positions = _positions(rng)
    probes = ProbeSequence(_probe(modes), None, PIXEL)
    geometry = compute_object_geometry(positions, probes.get_geometry())
    truth = _true_object(rng, (geometry.height_px, geometry.width_px))
    product = product_of(truth, positions, probes, geometry.get_center())
    flat = product_of(np.ones_like(truth), positions, probes, geometry.get_center())
    save_diffraction_data(folder / "diffraction.h5", _counted(product, flat, rng))
    save_product(folder / "product.h5", product)
    save_product(folder / "flat.h5", flat)
    wide = np.ones((truth.shape[0] + 17, truth.shape[1] + 6), np.complex64)
    moved = ObjectCenter(
        x_m=geometry.center_x_m + 3.0 * PIXEL.width_m,
        y_m=geometry.center_y_m + 8.5 * PIXEL.height_m,
    )
    save_product(folder / "wide.h5", product_of(wide, positions, probes, moved))


def product_of(
    object_: NDArray[np.complexfloating], positions: ProbePositionSequence, probes: ProbeSequence, center: ObjectCenter
) -> Product:
    """A far-field product with nominal metadata."""
    metadata = ProductMetadata(
        name="scene",
        comments="",
        detector_distance_m=1.0,
        photon_energy_eV=8000.0,
        probe_photon_count=PHOTONS,
        exposure_time_s=1.0,
        mass_attenuation_m2_per_kg=1.0,
        tomography_angle_deg=0.0,
    )
    return Product(metadata, positions, probes, Object(object_, PIXEL, center), [])


def positions_at(x_px: NDArray[np.floating], y_px: NDArray[np.floating]) -> ProbePositionSequence:
    """Positions in object pixels as a sequence in metres, indexed from 0."""
    return ProbePositionSequence(
        [
            ProbePosition(index, float(x) * PIXEL.width_m, float(y) * PIXEL.height_m)
            for index, (x, y) in enumerate(zip(x_px, y_px, strict=True))
        ]
    )


def light(product: Product) -> NDArray[np.float64]:
    """Photons that fall on each pixel of the object in the whole scan, by the client's own geometry."""
    geometry, window = product.object_.get_geometry(), product.probes.get_geometry()
    beam = (abs(product.probes.get_probe_no_opr().get_array()) ** 2).sum(axis=0)
    total = np.zeros((geometry.height_px, geometry.width_px))
    for position in product.probe_positions:
        place = geometry.map_coordinates_probe_to_object(position)
        bounds = window.resolve_patch_bounds(place.x_px, place.y_px)
        total[bounds.y_slice, bounds.x_slice] += shift(beam, (bounds.dy, bounds.dx), order=1)
    return total


def _positions(rng: np.random.Generator) -> ProbePositionSequence:
    """Twelve rows, each shorter than the one before, jittered; far from the origin of the stage."""
    points = np.array([(row, column) for row in range(12) for column in range(9 - row // 2)], float)
    points = (points + rng.uniform(-0.2, 0.2, points.shape)) * STEP_PX
    return positions_at(points[:, 1] + 310.4, points[:, 0] - 87.8)


def _probe(modes: int) -> NDArray[np.complex64]:
    """An off-centre curved Gaussian, and a second mode of 20 % of its power."""
    y, x = np.mgrid[:PATTERN_PX, :PATTERN_PX] - (PATTERN_PX - 1) / 2
    first = np.exp(-((y - 0.8) ** 2 + (x + 0.6) ** 2) / 40 + 0.03j * (y**2 + x**2))
    stack = np.stack([first, x * first * np.sqrt(0.2 * np.sum(abs(first) ** 2) / np.sum(abs(x * first) ** 2))])[:modes]
    return (stack * np.sqrt(PHOTONS / np.sum(abs(stack) ** 2))).astype(np.complex64)


def _true_object(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Smooth random absorption and phase: no symmetry, nothing flat."""
    grains, bands = (gaussian_filter(rng.normal(size=shape), sigma) for sigma in (2.0, 4.0))
    amplitude = 1.0 - 0.25 * (grains - grains.min()) / np.ptp(grains)
    return (amplitude * np.exp(1j * bands / bands.std() * 0.4)).astype(np.complex64)


def _counted(product: Product, flat: Product, rng: np.random.Generator) -> AssembledDiffractionData:
    """Patterns of a product as a detector writes them: uint16 counts, one dead pixel.

    The client's forward model carries a factor of its geometry; the flat product tells it, so that the counts are
    those of the probe's photons.
    """
    simulated = generate_diffraction_data(product)
    factor = PHOTONS / generate_diffraction_data(flat).get_patterns().sum(axis=(1, 2)).mean()
    bad = np.zeros((PATTERN_PX, PATTERN_PX), bool)
    bad[3, 7] = True
    counts = np.where(bad, 0, rng.poisson(factor * simulated.get_patterns())).astype(np.uint16)
    return AssembledDiffractionData(simulated.get_indexes(), counts, simulated.get_pixel_geometry(), bad)
