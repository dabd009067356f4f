"""Ranks: their shares, their sums, and how a refusal on one of them ends all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ptychopinn.errors import RankError, ScanError
from ptychopinn.ranks import ALONE, Ranks

InRanks = Callable[..., list[Any]]


@pytest.mark.parametrize(("number", "count"), [(0, 3), (2, 3), (7, 3), (9, 3), (5, 1)])
def test_shares_are_all_there_is_and_alike(number: int, count: int) -> None:
    shares = [range(number)[Ranks(index, count).own(number)] for index in range(count)]
    assert [one for share in shares for one in share] == list(range(number))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("count", [2, 3])
def test_sums_are_those_of_all_ranks_in_every_type(in_ranks: InRanks, count: int) -> None:
    def work(ranks: Ranks) -> tuple[torch.Tensor, ...]:
        own = ranks.index + 1.0
        plain, waves = torch.full((2, 3), own), torch.full((2, 2), own + 2j * own)
        exact, turned = torch.tensor(own, dtype=torch.float64), torch.arange(6.0).view(2, 3).T * own
        ranks.add(plain, waves, exact, turned)
        return plain, waves, exact, turned

    total = sum(range(1, count + 1))
    for plain, waves, exact, turned in in_ranks(work, count):
        assert torch.equal(plain, torch.full((2, 3), float(total)))
        assert torch.equal(waves, torch.full((2, 2), total + 2j * total))
        assert float(exact) == total
        assert torch.equal(turned, torch.arange(6.0).view(2, 3).T * total)


def test_bytes_of_the_first_rank(in_ranks: InRanks) -> None:
    for content in (None, b"", b"an image"):
        given = in_ranks(lambda ranks, content=content: ranks.first_bytes(content if ranks.is_first else b"other"))
        assert given == [content, content]


def test_one_process_sums_and_exchanges_nothing() -> None:
    value = torch.ones(2)
    ALONE.add(value)
    assert torch.equal(value, torch.ones(2))
    assert ALONE.total(3.0) == 3.0
    assert ALONE.first_bytes(b"own") == b"own"


@pytest.mark.parametrize("refused", [(0,), (1,), (0, 1)])
def test_a_refusal_on_one_rank_ends_all(in_ranks: InRanks, refused: tuple[int, ...]) -> None:
    """The first rank names the rank and what it was refused for; its own error stays as it is."""

    def work(ranks: Ranks) -> Exception:
        try:
            with ranks.together():
                if ranks.index in refused:
                    raise ScanError("scan.npz: does not exist")
        except Exception as error:
            return error
        raise AssertionError("went on")

    first, other = in_ranks(work)
    assert "scan.npz: does not exist" in str(first)
    assert isinstance(other, RankError)
    if 0 in refused:
        assert isinstance(first, ScanError)
        assert str(other) == "rank 0 of 2: scan.npz: does not exist"
    else:
        assert isinstance(first, RankError)
        assert str(first) == "rank 1 of 2: scan.npz: does not exist"


def test_where_nothing_is_refused_all_go_on(in_ranks: InRanks) -> None:
    def work(ranks: Ranks) -> float:
        with ranks.together():
            pass
        return ranks.total(1.0)

    assert in_ranks(work) == [2.0, 2.0]
