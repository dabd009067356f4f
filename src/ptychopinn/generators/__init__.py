"""Networks from patterns to complex object patches."""

from ptychopinn.generators.base import Generator, GroupView, Scene, SceneSolver
from ptychopinn.generators.build import build_generator
from ptychopinn.generators.inputs import INPUTS, Input
from ptychopinn.generators.network_parts import PartName, weights_of_parts
from ptychopinn.generators.outputs import OUTPUTS, Output
from ptychopinn.generators.registry import architectures, compose, parts, register, register_part, resolve
from ptychopinn.generators.single_pass import SinglePass
from ptychopinn.generators.unrolled import GroupScene, Unrolled, changed_patches, stages_of

__all__ = [
    "INPUTS",
    "OUTPUTS",
    "Generator",
    "GroupScene",
    "GroupView",
    "Input",
    "Output",
    "PartName",
    "Scene",
    "SceneSolver",
    "SinglePass",
    "Unrolled",
    "architectures",
    "build_generator",
    "changed_patches",
    "compose",
    "parts",
    "register",
    "register_part",
    "resolve",
    "stages_of",
    "weights_of_parts",
]
