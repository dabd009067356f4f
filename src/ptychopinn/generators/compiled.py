"""Networks compiled by torch.compile, and run as they are where that fails."""

import logging
from typing import Any

import torch
from torch import nn

from ptychopinn.config.training import CompileMode

logger = logging.getLogger("ptychopinn")


def compile_network(network: nn.Module, mode: CompileMode = "default") -> None:
    """Compile a network when it is first called; its weights, names and copies stay as they are.

    Where the compilation fails (no C++ compiler on a CPU, no Triton on a GPU, a layer that cannot be traced), a
    warning says so and why, and the network runs without it from then on. An error of the network itself is raised.

    Args:
        network: is compiled in place.
        mode: of torch.compile; `reduce-overhead` also records CUDA graphs on a GPU.
    """
    plain = network._call_impl
    compiled: Any = torch.compile(plain, mode=None if mode == "default" else mode)

    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return compiled(*arguments, **options)
        except Exception as error:
            network._compiled_call_impl = None
            result = plain(*arguments, **options)  # what is wrong with the network itself is raised here
            logger.warning("training.compile: the network runs without torch.compile, which failed: %s", _reason(error))
            return result

    network._compiled_call_impl = call  # what Module.compile sets; a copy of the network is not compiled


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
