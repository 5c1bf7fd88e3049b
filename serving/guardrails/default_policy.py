"""The policies that need nobody to write them: `default`, and `off`."""

from serving.contract.guardrails import (
    UNTRUSTED,
    Action,
    Check,
    CheckKind,
    GuardrailPolicy,
    Stage,
)

# On, mild, explained: plain attacks are refused, what is doubtful is noted, and instructions that
# hide in texts of others are taken out. The classifier mistakes too many harmless texts to refuse
# anybody. It looks at no answer, so it holds none back.
DEFAULT = GuardrailPolicy(
    id="default",
    checks=(
        Check(CheckKind.INJECTION, Action.BLOCK, (Stage.INPUT,), threshold=0.9),
        Check(CheckKind.INJECTION, Action.FLAG, (Stage.INPUT,), threshold=0.7),
        Check(CheckKind.INJECTION, Action.REDACT, UNTRUSTED, threshold=0.7),
        Check(CheckKind.CLASSIFIER, Action.FLAG, (Stage.INPUT, *UNTRUSTED), threshold=0.6),
        Check(CheckKind.SECRETS, Action.FLAG, (Stage.INPUT, *UNTRUSTED)),
    ),
)
OFF = GuardrailPolicy(id="off", is_spotlit=False)
BUILT_IN = {policy.id: policy for policy in (DEFAULT, OFF)}
