"""What a rule for attacks is, and the words that rules are made of.

Patterns are in RE2's syntax and meet texts that are folded: lower case, no accents. A gap between
words is anything that is no word; a few words may stand in between.
"""

from dataclasses import dataclass

GAP = r"[\W_]{1,4}"


def words(most: int) -> str:
    """Up to so many words, each with the gap that follows it."""
    return rf"(?:[\w'’-]+{GAP}){{0,{most}}}"


def any_words(most: int) -> str:
    """The same in any script."""
    return rf"(?:\S+\s+){{0,{most}}}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A sign of an attack. Scores, from 0 to 1, are of what a caller writes, and of what others
    have written: there no instruction is at its place. `in_output`: a sign in answers, too."""

    family: str
    pattern: str
    score: float
    untrusted: float
    in_output: bool = False


IGNORE = (
    r"(?:ignor(?:e|es|ing)|disregard(?:s|ing)?|forget(?:ting)?|overlook|neglect|bypass(?:ing)?"
    r"|overrid(?:e|ing)|overwrite|supersede|discard|set aside|abandon|dismiss|nullify|negate|erase"
    r"|unlearn|circumvent|disobey|violate|break free (?:from|of)"
    r"|(?:do not|don'?t|never|no longer|stop|without) (?:follow|obey|listen|adher|comply|respect"
    r"|consider|appl)\w*(?: to| with)?|pay no (?:attention|heed) to|throw (?:out|away)"
    r"|clear (?:your|the) (?:memory|context) of|stop (?:caring about|using))"
)
PRIOR = (
    r"(?:previous(?:ly)?|prior|above|preceding|earlier|former|foregoing|initial|original|existing"
    r"|current|old|past|aforementioned|before|given|so far)"
)
ORDERS = (
    r"(?:instruct\w*|directives?|directions?|rules?|guidelines?|guidance|prompts?|commands?|orders?"
    r"|constraints?|restrictions?|limitations?|polic(?:y|ies)|safeguards?|guardrails?|programming"
    r"|training|safety \w+|filters?|protocols?|system messages?|requirements?|assignments?|tasks?"
    r"|ethics|morals|principles|prompting)"
)
LIMITS = (
    r"(?:restrictions?|restraints?|limitations?|limits|censor\w*|filters?|filtering|ethic\w*"
    r"|moral\w*|guidelines|guardrails|safeguards|content polic\w+|polic(?:y|ies)|confines"
    r"|inhibitions|legality|rules|boundaries|constraints|taboos?|laws?|safety \w+|refusals?)"
)
AGENT = (
    r"(?:(?:ai|a\.i\.|artificial intelligence|language|large language|virtual|digital)"
    r"(?:[ -](?:assistants?|agents?|models?|systems?|bots?|tools?|reviewers?|readers?"
    r"|summari[sz]ers?"
    r"|crawlers?|systems))?|llms?|assistants?|chat-?bots?|chat-?gpt|gpt(?:-?\d\w*)?|claude|gemini"
    r"|copilot|llama|mistral|bing chat)"
)
SHOW = (
    r"(?:reveal|show|print|output|repeat|display|tell|give|share|disclose|expose|leak|dump|recite"
    r"|write|copy|list|spell|return|summari[sz]e|translate|encode|echo|provide|type|paste"
    r"|reproduce|quote|divulge|retype|restate|rephrase|paraphrase|read|send|describe|explain|output"
    r"|uncover|confess|say)"
)
