"""The formats of JSON schema that can be held, as patterns. Some hold less than the format allows.

A date is a day of the Gregorian calendar, with its leap years; a time has no leap second.
"""

_LEAP = r"(\d\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
_DAY = (
    r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|02-(0[1-9]|1\d|2[0-8]))"
)
_DATE = rf"((\d\d[1-9]\d|\d\d\d[1-9]|[1-9]\d\d\d|\d[1-9]\d\d)-{_DAY}|{_LEAP}-02-29)"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,5}}"
_PATH = r"(/[a-zA-Z0-9._~-]{0,64}){0,16}"
_WORD = r"[a-zA-Z0-9_+-]{1,32}"
_PERIOD = r"(\d{1,9}Y(\d{1,9}M)?(\d{1,9}D)?|\d{1,9}M(\d{1,9}D)?|\d{1,9}D)"
_CLOCK = r"T(\d{1,9}H(\d{1,9}M(\d{1,9}S)?)?|\d{1,9}M(\d{1,9}S)?|\d{1,9}S)"

FORMATS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "duration": f"^P({_PERIOD}({_CLOCK})?|{_CLOCK}|\\d{{1,9}}W)$",
    "email": rf"^{_WORD}(\.{_WORD}){{0,3}}@{_LABEL}(\.{_LABEL}){{1,5}}$",
    "hostname": f"^{_HOST}$",
    "ipv4": rf"^{_BYTE}(\.{_BYTE}){{3}}$",
    "ipv6": r"^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}$",
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "uri": rf"^[a-z][a-z0-9+.-]{{0,15}}://{_HOST}(:[1-9]\d{{0,3}})?{_PATH}(\?[a-zA-Z0-9=&._~-]{{0,128}})?$",
}
