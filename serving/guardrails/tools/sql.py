"""Whether a text is one SQL statement that only reads, whatever database it is for. Pure.

The dialects differ in what is a string or a comment, and what one takes for a string another may
run. So this is no parser of any: only what all read alike passes, and of functions those of a list.
"""

import re
from collections.abc import Sequence
from itertools import chain, pairwise

from serving.guardrails.tools.sql_words import BEFORE_BRACKET, CHANGES, FUNCTIONS, PAIRS

MAX_CHARACTERS = 50_000
_READS = ("select", "with", "values", "show", "describe", "desc")
_PREFIXES = ("n", "x", "b", "e")  # of strings; Oracle's q'[…]' has ends of its own
_SOURCES = ("from", "join")
_END = ("end", "")

# A backslash ends a string in one dialect and not in the other; MySQL runs /*! and wants a space
# after --; only PostgreSQL nests comments; a tag between dollars begins a string there.
_TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\n]+ )
    | (?P<comment> --(?=[ \t\n]|\Z)[^\n]* | /\*(?!!|\+|M!)(?:[^*/]|\*(?!/)|/(?!\*))*\*/ )
    | (?P<string>  '[^'\\]*' )
    | (?P<quoted>  "[^"\\]*" )
    | (?P<ticked>  `[\w\ .$-]*` )
    | (?P<number>  (?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)(?![\w$]) )
    | (?P<word>    [^\W\d](?:\w|\$(?!\$))* )
    | (?P<value>   \$[0-9]+(?![\w$]) )
    | (?P<mark>    :(?!=) | -(?!-) | /(?!\*) | [+*%<>=!~^&|@?.,()\[\];] )
    """,
    re.VERBOSE,
)
Token = tuple[str, str]  # its kind, and its text in small letters


def only_reads(text: str) -> bool:
    """False also for all that cannot be read for certain."""
    tokens = _tokens(text)
    if tokens is None or not _is_one(tokens) or not _is_plain_within_brackets(tokens):
        return False
    tokens = [token for token in tokens if token[0] != "comment" and token[1] != ";"]
    first = next((token for token in tokens if token[1] != "("), None)
    if first is None or first[0] != "word" or first[1] not in _READS:
        return False
    around = zip([_END, *tokens], tokens, [*tokens[1:], _END], strict=False)
    return not _changes(tokens) and all(_is_known_call(*three) for three in around)


def _tokens(text: str) -> list[Token] | None:
    """None where one of them is none that all dialects know."""
    text = text.replace("\r\n", "\n")
    if len(text) > MAX_CHARACTERS or not _is_printable(text):
        return None
    tokens, at, was = [], 0, "space"
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or not _may_follow(was, match):
            return None
        was = match.lastgroup or ""
        if was != "space":
            tokens.append((was, match[0].lower()))
        was = f"prefix {match[0].lower()}" if was == "word" else was
        at = match.end()
    return tokens


def _is_printable(text: str) -> bool:
    """No control character but line ends and tabs: some end a comment here and not there."""
    return text.replace("\t", "").replace("\n", "").isprintable()


def _may_follow(was: str, match: re.Match[str]) -> bool:
    """A word that touches a string says how that is to be read."""
    is_touching = was.startswith("prefix ") and match.lastgroup in ("string", "quoted", "ticked")
    return not is_touching or (match.lastgroup == "string" and was[7:] in _PREFIXES)


def _is_one(tokens: Sequence[Token]) -> bool:
    """A semicolon stands at the end, or nowhere."""
    told = [text for kind, text in tokens if kind != "comment"]
    return ";" not in told[:-1]


def _is_plain_within_brackets(tokens: Sequence[Token]) -> bool:
    """`[` opens a name in one dialect, a list in the other: no quotes may be within."""
    depth = 0
    for kind, text in tokens:
        depth += (text == "[") - (text == "]")
        if not 0 <= depth <= 1 or (depth and kind in ("string", "quoted", "ticked", "comment")):
            return False
    return depth == 0


def _changes(tokens: Sequence[Token]) -> bool:
    """Whether a word may change something, take a lock, or read a file."""
    words = [text for kind, text in tokens if kind == "word"]
    ticked = (
        word for kind, text in tokens if kind == "ticked" for word in re.findall(r"\w+", text)
    )
    if not CHANGES.isdisjoint(chain(words, ticked)) or not PAIRS.isdisjoint(pairwise(words)):
        return True
    return any(map(_is_harmful, tokens, [*tokens[1:], _END]))


def _is_harmful(token: Token, after: Token) -> bool:
    if token[1] in _SOURCES:
        return after[0] == "string" or after[1] == "@"
    return token[1] == "replace" and after[1] != "("


def _is_known_call(before: Token, token: Token, after: Token) -> bool:
    """What stands before a bracket calls nothing, or a function that only computes."""
    kind, name = token
    if after[1] != "(":
        return True
    if kind != "word":  # of a name in quotes or brackets nobody knows whether it is a function
        return kind == "mark" and name not in (")", "]")
    if name in BEFORE_BRACKET:
        return True
    is_new_name = before[0] == "word" and before[1] in ("as", "with", "recursive")
    return is_new_name or (name in FUNCTIONS and before[1] != ".")
