"""Tells the operator once a day of each budget that is nearly or wholly spent."""

import time
from collections import OrderedDict
from collections.abc import Iterable

import structlog

REMEMBERED = 4_096
DAY_S = 86_400
log: structlog.stdlib.BoundLogger = structlog.get_logger("quota")


class BudgetWarnings:
    """Remembers what it has told."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()

    def tell(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            key = warning, int(time.time() // DAY_S)
            if key not in self._told:
                log.warning("budget_warning", warning=warning)
                self._told[key] = None
                if len(self._told) > REMEMBERED:
                    self._told.popitem(last=False)
