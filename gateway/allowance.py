"""What a tenant may send through this process while quotas cannot be asked for."""

from collections import OrderedDict

TENANTS = 10_000
PERIOD_S = 60.0


class Allowance:
    """A leaky bucket a tenant, of one minute's worth. Times are of a monotonic clock."""

    def __init__(self) -> None:
        # When each tenant's bucket will be empty again: the theoretical arrival time of GCRA.
        self._empty_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, tenant: str, per_minute: int, now_s: float) -> float:
        """Takes one request: 0.0. Or takes none: seconds until one will pass; inf for never."""
        if per_minute == 0:
            return float("inf")
        empty_at_s = max(now_s, self._empty_at_s.get(tenant, now_s)) + PERIOD_S / per_minute
        wait_s = empty_at_s - now_s - PERIOD_S
        if wait_s > 1e-9:
            return wait_s
        self._empty_at_s[tenant] = empty_at_s
        self._empty_at_s.move_to_end(tenant)
        if len(self._empty_at_s) > TENANTS:
            self._empty_at_s.popitem(last=False)
        return 0.0
