"""Networks from patterns to complex object patches."""

from ptychopinn.generators.base import GroupView
from ptychopinn.generators.generator import Generator
from ptychopinn.generators.inputs import INPUTS
from ptychopinn.generators.registry import architectures, register, resolve

__all__ = ["INPUTS", "Generator", "GroupView", "architectures", "register", "resolve"]
