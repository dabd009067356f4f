"""The errors that users meet.

Every message says what is wrong, where, the rule that it breaks, and the way out, in one sentence or two.
The command line prints the message alone and ends with exit code 2.
"""

from typing import Any

LONGEST_MESSAGE = 1000
"""Characters of an error that are shown; text from a file can be of any length."""
LONGEST_SHOWN = 160
"""Characters of a text from a file within a message, so that the rest of the message is still read."""


def one_line(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Text on one line, without control characters, of limited length.

    >>> one_line("first\\nsecond \\x1b[2J")
    'first second [2J'
    """
    part = text[: 4 * longest]
    plain = " ".join("".join(c if c.isprintable() else " " if c.isspace() else "" for c in part).split())
    return plain if len(plain) <= longest else f"{plain[: longest - 4]} ..."


def shown(text: object) -> str:
    """A text from a file as it may stand within a message.

    >>> shown("9.0\\x1b[2J" + 500 * "A")[:7]
    '9.0[2JA'
    """
    return one_line(str(text), LONGEST_SHOWN)


class PtychoPINNError(Exception):
    """Base of every error that is the input's or the environment's fault, not ours.

    Its message is one line of limited length, whatever texts of files it names.
    """

    def __init__(self, message: str = "", *details: Any) -> None:
        super().__init__(one_line(message), *details)


class ConfigError(PtychoPINNError, ValueError):
    """A recipe holds an unknown key or a value that breaks a rule."""


class ScanError(PtychoPINNError, ValueError):
    """A scan, or the file that should hold one, cannot be used."""


class BundleError(PtychoPINNError, ValueError):
    """A model archive is damaged, tampered with, or does not fit the data."""


class OutputError(PtychoPINNError, OSError):
    """A result cannot be written where it was asked for."""


class RankError(PtychoPINNError):
    """Another rank of the run was refused or has ended; the first rank shows why."""


class MissingExtraError(PtychoPINNError, ImportError):
    """An optional package is needed and not installed; the message holds the pip line."""
