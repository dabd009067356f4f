"""Units as files write them: singular, plural, spelt out or as symbols, with any SI prefix.

A table and not `pint`: files say "microns", "A" for the angstrom (an ampere there) and "KEV", and four quantities are
all that a scan needs.
"""

import re
import unicodedata
from typing import Literal

from ptychopinn.data.geometry import EV_J

Quantity = Literal["length", "energy", "angle", "time"]
"""Read as m, eV, rad, s."""

SI: dict[Quantity, str] = {"length": "m", "energy": "eV", "angle": "rad", "time": "s"}

_SYMBOLS: dict[Quantity, dict[str, float]] = {
    "length": {"m": 1.0},
    "energy": {"eV": 1.0, "J": 1 / EV_J},
    "angle": {"rad": 1.0},
    "time": {"s": 1.0},
}
_WORDS: dict[Quantity, dict[str, float]] = {
    "length": {"meter": 1.0, "metre": 1.0},
    "energy": {"electronvolt": 1.0, "joule": 1 / EV_J},
    "angle": {"radian": 1.0},
    "time": {"second": 1.0, "sec": 1.0},
}
_DEGREE = 0.017453292519943295
_ANGSTROM = 1e-10
_OTHERS: dict[Quantity, dict[str, float]] = {
    "length": {
        **dict.fromkeys(("micron", "mikron", "mum", "mu"), 1e-6),
        **dict.fromkeys(("a", "å", "ang", "angstrom", "angstroem", "ångström", "ångstrom", "angström"), _ANGSTROM),
        **dict.fromkeys(("inch", "inche"), 0.0254),
    },
    "energy": {"mev": 1e6},
    "angle": {**dict.fromkeys(("deg", "degree", "°"), _DEGREE), **dict.fromkeys(("arcsec",), _DEGREE / 3600)},
    "time": {**dict.fromkeys(("min", "minute"), 60.0), **dict.fromkeys(("h", "hr", "hour"), 3600.0)},
}
_PREFIXES = {
    "": 1.0,
    "m": 1e-3,
    "u": 1e-6,
    "μ": 1e-6,
    "n": 1e-9,
    "p": 1e-12,
    "f": 1e-15,
    "a": 1e-18,
    "c": 1e-2,
    "d": 1e-1,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
_PREFIX_WORDS = {
    "": 1.0,
    "milli": 1e-3,
    "micro": 1e-6,
    "nano": 1e-9,
    "pico": 1e-12,
    "femto": 1e-15,
    "atto": 1e-18,
    "centi": 1e-2,
    "deci": 1e-1,
    "kilo": 1e3,
    "mega": 1e6,
    "giga": 1e9,
    "tera": 1e12,
}
_DECORATION = re.compile(r"[\s_$\\{}()\[\].*-]")


def si_factor(unit: str, quantity: Quantity) -> float | None:
    """What a number in a unit is multiplied by to be in m, eV, rad or s; None if the unit is not known.

    Symbols are taken as written first ("meV" is not "MeV"), then in any case ("KEV").

    Example:
        >>> si_factor("micrometers", "length"), si_factor("µm", "length"), si_factor("keV", "energy")
        (1e-06, 1e-06, 1000.0)
    """
    plain = _DECORATION.sub("", unicodedata.normalize("NFKC", unit).replace("\\mu", "μ"))
    for prefix, power in _PREFIXES.items():
        for symbol, factor in _SYMBOLS[quantity].items():
            if plain == prefix + symbol:
                return power * factor
    lower = plain.lower()
    singular = lower.removesuffix("s") if len(lower) > 3 else lower
    for name in (lower, singular):
        for table in (_OTHERS[quantity], _spelt(quantity)):
            if name in table:
                return table[name]
    return _lower_symbols(quantity).get(lower)


def known_units(quantity: Quantity) -> str:
    """Examples of units of a quantity, for messages."""
    return {
        "length": "m, mm, um, nm, pm, angstrom, micron, micrometer",
        "energy": "eV, keV, J",
        "angle": "rad, mrad, deg",
        "time": "s, ms, us, ns, min",
    }[quantity]


def _spelt(quantity: Quantity) -> dict[str, float]:
    words = _WORDS[quantity].items()
    return {prefix + word: power * factor for prefix, power in _PREFIX_WORDS.items() for word, factor in words}


def _lower_symbols(quantity: Quantity) -> dict[str, float]:
    """Symbols in lower case; of two that become the same, the one with the smaller prefix in the table."""
    found: dict[str, float] = {}
    for prefix, power in _PREFIXES.items():
        for symbol, factor in _SYMBOLS[quantity].items():
            found.setdefault((prefix + symbol).lower(), power * factor)
    return found
