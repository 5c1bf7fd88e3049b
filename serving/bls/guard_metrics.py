"""What guardrails find, at Triton's metrics endpoint. Labels are of bounded sets."""

from collections.abc import Callable

from serving.bls.metrics import Families, Observe
from serving.contract.errors import ConchError
from serving.contract.guardrails import Action, CheckKind, Stage, Verdict

_KINDS = frozenset(CheckKind)
Log = Callable[[str, Exception], None]
NAMED = "named"  # what checks with names of their own are counted as


class GuardMetrics:
    """One model's counters, made as they are first needed."""

    def __init__(self, families: Families, model: str, log: Log) -> None:
        self._families = families
        self._model = model
        self._log = log
        self._verdicts: dict[tuple[str, Stage, Action], Observe] = {}
        self._failures = families.counter(
            "conch_guard_failures_total", "Checks that failed or took too long", model
        )
        self.wait_ms: Callable[[float], None] = families.histogram(
            "conch_guard_wait_ms",
            "First tokens held back for checks by meaning, milliseconds",
            model,
            (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
        )

    def failed(self, error: Exception) -> None:
        """Counted; and told in the log, where nobody foresaw it."""
        self._failures(1)
        if not isinstance(error, ConchError | TimeoutError):
            self._log("a guardrail", error)

    def tell(self, verdict: Verdict) -> None:
        check = verdict.check if verdict.check in _KINDS else NAMED
        key = check, verdict.stage, verdict.action
        if key not in self._verdicts:
            self._verdicts[key] = self._families.counter(
                "conch_guard_verdicts_total",
                "What guardrails found",
                self._model,
                check=check,
                stage=verdict.stage.value,
                action=verdict.action.value,
            )
        self._verdicts[key](1)
