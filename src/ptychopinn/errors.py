"""The errors that users meet.

Every message says what is wrong, where, the rule that it breaks, and the way out, in one sentence or two.
The command line prints the message alone and ends with exit code 2.
"""


class PtychoPINNError(Exception):
    """Base of every error that is the input's or the environment's fault, not ours."""


class ConfigError(PtychoPINNError, ValueError):
    """A recipe holds an unknown key or a value that breaks a rule."""


class ScanError(PtychoPINNError, ValueError):
    """A scan, or the file that should hold one, cannot be used."""


class BundleError(PtychoPINNError, ValueError):
    """A model archive is damaged, tampered with, or does not fit the data."""


class OutputError(PtychoPINNError, OSError):
    """A result cannot be written where it was asked for."""


class MissingExtraError(PtychoPINNError, ImportError):
    """An optional package is needed and not installed; the message holds the pip line."""
