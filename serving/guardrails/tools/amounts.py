"""Whether a number is within its bounds, also one that is written in a text. Pure."""

import re
from decimal import Decimal
from math import isfinite
from typing import Any

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")


def is_between(value: Any, minimum: float | None, maximum: float | None) -> bool:
    """None: no bound. False for what is no number, or none for certain ("1,000", "0x10", NaN)."""
    number = _number(value)
    if number is None:
        return False
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


def _number(value: Any) -> int | float | Decimal | None:
    match value:
        case bool():
            return None
        case int():
            return value
        case float():
            return value if isfinite(value) else None
        case str() if _NUMBER.fullmatch(value.strip(" ")):
            return Decimal(value.strip(" "))
    return None
