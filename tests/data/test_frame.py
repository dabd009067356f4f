"""The frame of a reconstruction, and scans that make no single image."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn.data import Scan
from ptychopinn.data.frame import Frame, check_one_image
from ptychopinn.errors import ScanError


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("margin", [0, 2])
def test_the_frame_of_positions_just_holds_every_window(size: int, margin: int) -> None:
    whole = np.array([[-4, 30], [7, 12], [0, 21]])
    frame = Frame.of_positions(whole, size, margin)
    first = whole - size // 2
    assert frame.origin_px == tuple(first.min(axis=0) - margin)
    last = np.array(frame.origin_px) + frame.shape
    assert tuple(last) == tuple(first.max(axis=0) + size + margin)


def test_the_frame_of_a_scan_is_that_of_its_object_guess(scan: Scan) -> None:
    windows = Frame((-7, 3), (90, 80))
    assert Frame.of_scan(scan, windows) == Frame((0, 0), (60, 44))
    assert Frame.of_scan(replace(scan, object_guess=None), windows) == windows


@pytest.mark.parametrize(
    ("other", "common"),
    [
        (Frame((0, 0), (5, 5)), True),
        (Frame((9, 4), (5, 5)), True),
        (Frame((10, 4), (5, 5)), False),
        (Frame((4, -5), (5, 5)), False),
        (Frame((4, -4), (5, 5)), True),
        (Frame((-50, -50), (200, 200)), True),
    ],
)
def test_overlap(other: Frame, common: bool) -> None:
    frame = Frame((0, 0), (10, 20))
    assert frame.overlaps(other) == other.overlaps(frame) == common


def test_one_object_is_one_image(scan: Scan) -> None:
    check_one_image(scan)
    check_one_image(replace(scan, scan_index=np.full(len(scan), 7)))
    check_one_image(replace(scan, object_guess=None, positions_px=scan.positions_px - 500))


def test_several_objects_are_refused_with_the_way_to_select_one(scan: Scan) -> None:
    two = replace(scan, scan_index=np.arange(len(scan)) % 2 + 3, source="two.npz")
    with pytest.raises(ScanError, match=r"two\.npz: scan_index names 2 objects \(3, 4\).*scan\.select"):
        check_one_image(two)
    check_one_image(two.select(two.scan_index == 3))


def test_positions_in_another_frame_than_the_object_guess_are_refused(scan: Scan) -> None:
    away = replace(scan, positions_px=scan.positions_px - 200, source="centred.npz")
    with pytest.raises(ScanError, match=r"centred\.npz: no pattern lies on objectGuess.*rows 0\.\.59 and columns"):
        check_one_image(away)
