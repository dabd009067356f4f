"""The ranks that torchrun, `srun` or another launcher has started for this run; Lightning's environments name them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ptychopinn.errors import ConfigError
from ptychopinn.ranks import ALONE, Ranks

logger = logging.getLogger("ptychopinn.training")

TIMEOUT = timedelta(hours=2)
"""Longest time that a rank waits for another one, which may judge, draw and write a large image. A process that has
ended is noticed at once; a machine that has lost its network is noticed after this time."""


def is_started_with_others() -> bool:
    """Whether the environment of this process says that others were started for the same run; imports nothing.

    torchrun, and whoever does as it does, sets RANK and WORLD_SIZE. SLURM sets SLURM_STEP_NUM_TASKS for what `srun`
    starts, and not for the script of a job, which is one process however many tasks the job has.
    """
    named = "RANK" in os.environ and _number("WORLD_SIZE") > 1
    return named or ("SLURM_PROCID" in os.environ and _number("SLURM_STEP_NUM_TASKS") > 1)


@contextmanager
def started_ranks() -> Iterator[Ranks]:
    """The ranks of this run, connected while the block runs; one process without others is `ALONE`.

    A rank takes the GPU of its number on its machine. Sums are made by NCCL between GPUs and by gloo between CPUs.

    Raises:
        ConfigError: the environment is incomplete, or the others cannot be reached.
    """
    if not is_started_with_others():
        yield ALONE
        return
    import torch
    from torch import distributed

    with _connected() as ranks:
        if torch.cuda.is_available():
            torch.cuda.set_device(_local_index() % torch.cuda.device_count())
        if (threads := _number("SLURM_CPUS_PER_TASK")) and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else Lightning takes all cores
        logger.info("rank %d of %d, sums by %s", ranks.index, ranks.count, distributed.get_backend_config())
        yield ranks


@contextmanager
def _connected() -> Iterator[Ranks]:
    import torch
    from torch import distributed

    environment = _environment()
    try:
        index, count = int(environment.global_rank()), int(environment.world_size())
        address, port = environment.main_address, environment.main_port
        os.environ.update(MASTER_ADDR=str(address), MASTER_PORT=str(port))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, rank=index, world_size=count, timeout=TIMEOUT)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the ranks of this run cannot be joined ({error}); RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT must be "
            "set as torchrun sets them, or unset RANK to run in one process"
        ) from error
    yield Ranks(index, count, distributed.group.WORLD)
    distributed.destroy_process_group()  # after an error the end of the process closes the connections, without waiting


def _environment() -> Any:
    """Lightning's: what torchrun has set goes before what SLURM has set, since torchrun may run in a job of SLURM."""
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    return TorchElasticEnvironment() if "RANK" in os.environ else SLURMEnvironment()


def _local_index() -> int:
    return _number("LOCAL_RANK") if "RANK" in os.environ else _number("SLURM_LOCALID")


def _number(name: str) -> int:
    """A whole number of the environment; 0 where there is none.

    Raises:
        ConfigError: it is no number.
    """
    text = os.environ.get(name, "0")
    if not text.isdecimal():
        raise ConfigError(f"{name} must be a whole number, got {text!r}; set it as torchrun sets it, or unset it")
    return int(text)
