"""Numbers from and to, as expressions of a grammar. Bounds have few enough digits for a float."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from serving.text.schema_rules import any_of

MAX_DIGITS = 9  # of a bound before its point, 4 after it
MAX_PLACES = 4
_WIDEST = 19
_MORE_PLACES = 2
LOW, ABOVE, HIGH, BELOW = "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"
BOUNDS = (LOW, ABOVE, HIGH, BELOW)


def is_bound(value: Any) -> bool:
    """Whether a number can be held to it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    number = Decimal(str(value))
    if not number.is_finite():
        return False
    return abs(number) < 10**MAX_DIGITS and number == round(number, MAX_PLACES)


def bounded(schema: dict[str, Any], *, is_whole: bool) -> str | None:
    """The numbers that the bounds of `schema` leave; None: it has none. "" when none are left."""
    if not any(name in schema for name in BOUNDS):
        return None
    places = 0 if is_whole else MAX_PLACES + _MORE_PLACES
    low = _end(schema, LOW, ABOVE, places, 1)
    high = _end(schema, HIGH, BELOW, places, -1)
    if low is not None and high is not None and low > high:
        return ""
    parts = []
    if high is None or high >= 0:
        parts.append(_magnitudes(max(low or 0, 0), high, places))
    if low is None or low < 0:
        least = 0 if high is None else max(-high, 0)
        most = None if low is None else -low
        parts.append(f'"-" {_magnitudes(max(least, 1) if is_whole else least, most, places)}')
    return any_of(parts)


def _end(schema: dict[str, Any], bound: str, strict: str, places: int, inward: int) -> int | None:
    """The end of the range in units of the last place; of two bounds the narrower one."""
    rounding = ROUND_CEILING if inward > 0 else ROUND_FLOOR
    ends = []
    for name in (bound, strict):
        if name in schema:
            scaled = Decimal(str(schema[name])).scaleb(places)
            whole = int(scaled.to_integral_value(rounding))
            ends.append(whole + inward if name == strict and whole == scaled else whole)
    return None if not ends else max(ends) if inward > 0 else min(ends)


def _magnitudes(low: int, high: int | None, places: int) -> str:
    """From `low` to `high`, in units of the last place, without a sign."""
    if places == 0:
        return _naturals(low, high)
    unit = 10**places
    first, least = divmod(low, unit)
    last, most = (None, unit - 1) if high is None else divmod(high, unit)
    if first == last:
        return f"{first_digits(first)} {_fraction(least, most, places)}"
    parts = [f"{first_digits(first)} {_fraction(least, unit - 1, places)}"]
    if last is None or last - first > 1:
        between = _naturals(first + 1, None if last is None else last - 1)
        parts.append(f"{between} {_fraction(0, unit - 1, places)}")
    if last is not None:
        parts.append(f"{first_digits(last)} {_fraction(0, most, places)}")
    return any_of(parts)


def first_digits(number: int) -> str:
    return f'"{number}"'


def _fraction(low: int, high: int, places: int) -> str:
    """A point and digits, or nothing where that is in the range."""
    if low == 0 and high == 10**places - 1:
        return f'("." [0-9]{{1,{places}}})?'
    if high == 0:
        return f'("." "0"{{1,{places}}})?'
    parts = ['""'] if low == 0 else []
    for width in range(1, places + 1):
        unit = 10 ** (places - width)
        least, most = -(-low // unit), high // unit
        if least <= most:
            parts.append(f'"." {_between(f"{least:0{width}}", f"{most:0{width}}")}')
    return any_of(parts)


def _naturals(low: int, high: int | None) -> str:
    """Whole numbers without leading zeros."""
    widths = range(len(str(low)), len(str(low if high is None else high)) + 1)
    parts = []
    for width in widths:
        least = max(low, 10 ** (width - 1) if width > 1 else 0)
        most = 10**width - 1 if high is None else min(high, 10**width - 1)
        parts.append(_between(str(least), str(most)))
    if high is None:
        parts.append(f"[1-9] [0-9]{{{widths[-1]},{_WIDEST - 1}}}")
    return any_of(parts)


def _between(low: str, high: str) -> str:
    """As many digits as both have, from `low` to `high`."""
    if not low:
        return '""'
    if low == "0" * len(low) and high == "9" * len(high):
        return f"[0-9]{{{len(low)}}}"
    if low[0] == high[0]:
        return f'"{low[0]}" {_between(low[1:], high[1:])}'
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    parts = []
    if low[1:] != "0" * rest:
        parts.append(f'"{first}" {_between(low[1:], "9" * rest)}')
        first += 1
    if high[1:] != "9" * rest:
        parts.append(f'"{last}" {_between("0" * rest, high[1:])}')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] {_between('0' * rest, '9' * rest)}")
    return any_of(parts)
