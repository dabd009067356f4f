"""Pieces of a scan are joined by frame number: each frame is placed once, whatever comes again, late or never."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn.data.io.pieces import Piece
from ptychopinn.errors import ScanError
from ptychopinn.reconstruction import Joined


def piece(numbers: list[int], what: str = "both", size: int = 4) -> Piece:
    """Frames whose values follow from their numbers."""
    frames = np.array(numbers, np.int64)
    patterns = np.broadcast_to(frames[:, None, None] + 1, (len(frames), size, size))
    positions = np.stack([frames, 2.0 * frames], axis=1)
    return Piece(frames, None if what == "positions" else patterns, None if what == "patterns" else positions)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[tuple[list[int], str]]]:
    """Patterns and positions of all frames in pieces of any sizes and order, some of them again."""
    count = draw(st.integers(1, 30))
    pieces = []
    for what in ("patterns", "positions"):
        left = draw(st.permutations(range(count)))
        while left:
            n = draw(st.integers(1, len(left)))
            pieces.append((left[:n], what))
            left = left[n:]
    again = draw(st.lists(st.sampled_from(pieces), max_size=3))
    return count, draw(st.permutations([*pieces, *again]))


@given(streams())
@settings(max_examples=100, deadline=None)
def test_every_frame_is_taken_once_in_any_order(stream: tuple[int, list[tuple[list[int], str]]]) -> None:
    count, pieces = stream
    joined, taken = Joined(), []
    for time_s, (numbers, what) in enumerate(pieces):
        joined.add(piece(numbers, what), float(time_s))
        numbers, arrived = joined.take()
        taken += numbers
        assert all(one == time_s for one in arrived)
    assert sorted(taken) == list(range(count))
    patterns, positions = joined.of(taken)
    assert (patterns[:, 0, 0] == np.array(taken) + 1).all()
    assert (positions[:, 1] == 2 * np.array(taken)).all()
    assert joined.repeated == sum(len(numbers) for numbers, _ in pieces) - 2 * count
    assert (joined.conflicting, joined.without_pattern, joined.without_position) == (0, 0, 0)


def test_what_is_missing_late_dark_or_different_is_counted() -> None:
    joined = Joined()
    joined.add(piece([0, 1, 5]), 0.0)
    joined.add(piece([3]), 1.0)
    joined.add(piece([7], "patterns"), 2.0)
    joined.add(piece([8, 9], "positions"), 2.0)
    dark = piece([10])
    joined.add(Piece(dark.frames, np.zeros((1, 4, 4)), dark.positions_px), 3.0)
    other = piece([5])
    joined.add(Piece(other.frames, other.patterns + 1, other.positions_px), 4.0)  # type: ignore[operator]
    assert joined.take()[0] == [0, 1, 3, 5]
    assert joined.take() == ([], [])
    assert (joined.late, joined.dark, joined.repeated, joined.conflicting) == (1, 1, 2, 1)
    assert (joined.without_position, joined.without_pattern) == (1, 2)
    assert joined.of([5])[0][0, 0, 0] == 6


def test_patterns_of_another_size_are_refused_and_leave_nothing() -> None:
    joined = Joined()
    joined.add(piece([0]), 0.0)
    with pytest.raises(ScanError, match="all must have one size"):
        joined.add(piece([1, 2], size=5), 1.0)
    assert joined.take()[0] == [0]
    assert joined.without_position == 0
