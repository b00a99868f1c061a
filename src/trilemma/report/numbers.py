"""How a number is written: to the precision that its standard error carries, and never as 0 when it is missing."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BYTES = frozenset({"b", "byte", "bytes"})
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def with_error(value: float, se: float | None = None) -> str:
    """Returns ``value ± se``, both cut at the digit that the error reaches; without an error, four digits.

    The error keeps two digits when it starts with 1 (0.12), else one (0.3). Very large and very small numbers are
    written with a power of ten.
    """
    if se is None or not math.isfinite(se) or se <= 0:
        return _plain(value) + (" ± 0" if se == 0 else "")
    exponent = _exponent(value, se)
    scale = 10.0**exponent
    decimals = _decimals(se / scale)
    body = f"{_fixed(value / scale, decimals)} ± {_fixed(se / scale, decimals)}"
    return body if exponent == 0 else f"({body}) × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def at_error(value: float, se: float | None) -> str:
    """Returns ``value`` alone, cut at the digit that its standard error reaches; without an error, four digits."""
    text = with_error(value, se)
    head, _, tail = text.partition(" ± ")
    power = tail[tail.index(")") + 1 :] if ")" in tail else ""
    return head.removeprefix("(") + power


def interval(low: float, high: float, se: float | None, unit: str = "") -> str:
    """Returns ``low to high``, cut at the digit that :func:`with_error` shows for the same error."""
    if unit.lower() in _BYTES:
        return f"{bytes_text(low)} to {bytes_text(high)}"
    if se is None or not math.isfinite(se) or se <= 0:
        return f"{_plain(low)} to {_plain(high)}"
    exponent = _exponent(max(abs(low), abs(high)), se)
    scale = 10.0**exponent
    decimals = _decimals(se / scale)
    body = f"{_fixed(low / scale, decimals)} to {_fixed(high / scale, decimals)}"
    return body if exponent == 0 else f"({body}) × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def quantity(value: float, se: float | None, unit: str) -> str:
    """Returns a value in its unit's customary form: bytes as MiB, counts in full, all else as :func:`with_error`."""
    if unit.lower() in _BYTES:
        return bytes_text(value)
    if se is None and math.isfinite(value) and float(value).is_integer() and abs(value) < 1e15:
        return count(int(value))
    return with_error(value, se)


def count(number: int) -> str:
    """Returns an integer with thousands separators."""
    return f"{number:,}".replace("-", MINUS)


def bytes_text(size: float) -> str:
    """Returns a size in bytes with the binary unit that fits, such as ``1.5 GiB``."""
    power = 0
    while abs(size) >= 1024 and power < len(_BINARY_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{_plain(size) if power == 0 else format(size, '.3g')} {_BINARY_UNITS[power]}"


def _plain(value: float) -> str:
    if not math.isfinite(value) or value == 0:
        return "0" if value == 0 else str(value)
    if 1e-4 <= abs(value) < 1e7:
        return _strip(_fixed(value, max(0, 3 - math.floor(math.log10(abs(value))))))
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{_strip(mantissa.replace('-', MINUS))} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _exponent(value: float, se: float) -> int:
    largest = math.floor(math.log10(max(abs(value), se)))
    return largest if largest < -3 or largest > 6 else 0


def _decimals(se: float) -> int:
    first = math.floor(math.log10(se))
    leading = round(se / 10.0**first, 1)
    return max(0, -first + (1 if leading < 2 else 0))


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    negative_zero = text.startswith("-") and not any(digit in text for digit in "123456789")
    return (text[1:] if negative_zero else text).replace("-", MINUS)


def _strip(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
