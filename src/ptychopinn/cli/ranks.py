"""A command that torchrun or SLURM has started several times for one run: the first process shows what all do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ptychopinn.cli.console import output

if TYPE_CHECKING:
    from ptychopinn.ranks import Ranks


@contextmanager
def shared_run() -> Iterator["Ranks"]:
    """The ranks of this run; all but the first one show nothing from here on but an error of their own.

    Raises:
        ConfigError: see `ptychopinn.training.environment.started_ranks`.
    """
    from ptychopinn.training.environment import started_ranks

    with started_ranks() as ranks:
        if not ranks.is_first:
            output.silent = True
            output.apply()
        yield ranks
