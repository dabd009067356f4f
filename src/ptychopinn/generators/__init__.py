"""Networks from patterns to complex object patches."""

from ptychopinn.generators.base import GroupView
from ptychopinn.generators.generator import Generator
from ptychopinn.generators.inputs import INPUTS, Input
from ptychopinn.generators.outputs import OUTPUTS, Output
from ptychopinn.generators.registry import architectures, compose, parts, register, register_part, resolve
from ptychopinn.generators.unrolled import GroupScene, Scene, Unrolled, changed_patches, stages_of

__all__ = [
    "INPUTS",
    "OUTPUTS",
    "Generator",
    "GroupScene",
    "GroupView",
    "Input",
    "Output",
    "Scene",
    "Unrolled",
    "architectures",
    "changed_patches",
    "compose",
    "parts",
    "register",
    "register_part",
    "resolve",
    "stages_of",
]
