"""Rules for attacks on the instructions that a model has: data, by family."""

from serving.guardrails.injection_rule import (
    GAP,
    IGNORE,
    LIMITS,
    ORDERS,
    PRIOR,
    SHOW,
    Rule,
    any_words,
    words,
)

_OVERRIDE = (
    Rule("override", rf"\b{IGNORE}{GAP}{words(4)}{PRIOR}{GAP}{words(3)}{ORDERS}\b", 0.95, 0.99),
    Rule(
        "override",
        rf"\b{IGNORE}{GAP}{words(2)}{ORDERS}{GAP}{words(4)}"
        rf"(?:above|before|previously|earlier|prior|so far|up to now|given|you (?:have|were|got"
        rf"|had))\b",
        0.9,
        0.97,
    ),
    Rule(
        "override",
        rf"\b{IGNORE}{GAP}{words(2)}(?:your|all your|openai'?s?|its|their own)"
        rf"{GAP}{words(3)}{ORDERS}\b",
        0.85,
        0.95,
    ),
    Rule(
        "override",
        rf"\b(?:ignore|disregard|forget|override|bypass|discard){GAP}"
        rf"(?:all|any|every|each|everything){GAP}{words(3)}{ORDERS}\b",
        0.7,
        0.9,
    ),
    Rule(
        "override",
        rf"\b(?:ignore|disregard|forget|override|bypass){GAP}(?:the|these|those|this|that|my)"
        rf"{GAP}{words(1)}(?:instruct\w*|directives?|guidelines?|prompts?|orders|safety \w+)\b",
        0.5,
        0.8,
    ),
    Rule(
        "override",
        rf"\b{IGNORE}{GAP}{words(2)}(?:everything|anything|all|whatever|what){GAP}{words(4)}"
        r"(?:above|before|previous\w*|earlier|prior|said|told|written|know|knew|learn\w+|so far"
        r"|up to (?:now|here)|until now|instructed|taught|trained)\b",
        0.85,
        0.95,
    ),
    Rule(
        "override",
        rf"\bforget{GAP}(?:about{GAP})?(?:everything|all(?: (?:this|that|of it))?)\s?"
        rf"(?:$|[.,;:!\n-]|(?:and|now|just|then|except|but)\b)",
        0.65,
        0.8,
    ),
    Rule(
        "override",
        rf"\b{ORDERS}{GAP}{words(5)}(?:void|cancell?ed|obsolete|revoked|overrid\w+|overruled"
        rf"|invalid"
        r"|superseded|outdated|no longer (?:appl\w+|valid|in effect|relevant|binding)|suspended"
        r"|lifted|disabled|deactivated|do(?:es)? not apply|don't apply|were (?:a test|fake"
        r"|wrong))\b",
        0.55,
        0.85,
    ),
    Rule(
        "override",
        rf"\b(?:you|your \w+) (?:are|is|have been|will be) (?:no longer|not|now free|freed"
        rf"|released|"
        rf"liberated|unbound|exempt)\b{GAP}{words(3)}"
        rf"(?:bound|restricted|limited|constrained|required|obligated|an ai|assistant|from|by"
        rf"|of){GAP}"
        rf"{words(4)}(?:{LIMITS}|{ORDERS}|assistant|ai|model)\b",
        0.75,
        0.9,
    ),
    Rule(
        "override",
        r"(?:^|[.!?:;\n]\s{0,3}|\b(?:your|are|is|my|system|follow|begin) )(?:new|updated|real"
        r"|actual"
        r"|revised|true|corrected|secret) (?:system )?"
        r"(?:instructions?|directives?|orders|rules|prompt|command|objective|mission|task)\s?"
        r"(?::|-|\n|are as follows|is as follows|for you|from (?:the )?(?:admin|developer|system))",
        0.5,
        0.8,
    ),
    Rule(
        "override",
        rf"\byou (?:no longer|do not|don't|never|needn't|need not) (?:have to|need to|must)? ?"
        rf"(?:follow|obey|abide by|adhere to|comply with|respect){GAP}{words(4)}(?:{ORDERS}"
        rf"|{LIMITS})\b",
        0.55,
        0.75,
    ),
    Rule(
        "override",
        r"\byour (?:new|only|real|true|actual|sole|next|updated) (?:\w+ )?(?:task|job|role|goal"
        r"|purpose|objective|mission|instructions?|identity|name|directive|persona|rules?)\b",
        0.4,
        0.75,
    ),
    Rule(
        "override",
        rf"\b(?:from now on|from this (?:point|moment)(?: on)?|henceforth|starting now"
        rf"|for the rest of"
        rf" (?:this|the|our) \w+),?{GAP}{words(3)}(?:you|your|ignore|act|respond|answer|only|always"
        rf"|never|treat|pretend|everything)\b",
        0.3,
        0.65,
    ),
    Rule(
        "override",  # letters that stood apart, without the words' borders
        r"(?:ignore|disregard|forget|bypass)(?:all|any|the|of|your|my|every)*"
        r"(?:previous|prior|above|earlier|system|your)(?:system)?(?:instruction|rule|prompt"
        r"|directive"
        r"|guideline|order|command)",
        0.95,
        0.99,
    ),
    Rule(
        "override",
        rf"\b(?:instead|rather)\b{GAP}{words(4)}(?:say|print|output|respond|reply|write|answer"
        rf"|tell)"
        rf"{GAP}{words(2)}(?:with|that|only|just|exactly|\"|')",
        0.2,
        0.45,
    ),
    Rule(
        "override",
        r"\b(?:end of|end) (?:the )?(?:system |user |previous |initial )?(?:prompt|instructions?"
        r"|context|input|document|article|data)\b\W{0,6}(?:\n|new|now|begin|start|the following"
        r"|you)",
        0.45,
        0.7,
    ),
)
_THING = (
    r"(?:instruct\w+|prompts?|pre-?prompt|guidelines|directives?|programming|configuration"
    r"|initiali[sz]ation|system messages?|rules|restrictions|constraints|secret \w+|context window"
    r"|developer messages?)"
)
_HIDDEN = (
    r"(?:system|initial|hidden|original|secret|internal|developer|starting|base|confidential|pre)"
)
_EXTRACTION = (
    Rule(
        "prompt_extraction",
        rf"\b{SHOW}{GAP}{words(5)}(?:your|its|you were){GAP}{words(3)}{_THING}\b",
        0.65,
        0.85,
    ),
    Rule(
        "prompt_extraction",
        rf"\b{SHOW}{GAP}{words(4)}(?:the|this|that|all|any|your"
        rf"|of){GAP}{words(1)}{_HIDDEN}(?:{GAP}\w+)?[\W_]{{0,3}}"
        rf"(?:prompts?|instruct\w+|messages?|directives?|guidelines|rules)\b",
        0.65,
        0.85,
    ),
    Rule(
        "prompt_extraction",
        rf"\b(?:repeat|print|output|reveal|show|copy|display|leak|dump|tell|recite"
        rf"|disclose){GAP}{words(3)}"
        rf"(?:the|this|all|any|your|of){GAP}(?:first|previous|prior|preceding|above|custom|earlier)"
        rf"{GAP}(?:prompts?|instruct\w+|messages?|directives?|guidelines|rules)\b",
        0.55,
        0.75,
    ),
    Rule(
        "prompt_extraction",
        rf"\bwhat(?:'s|s| is| are| was| were| does){GAP}{words(2)}your{GAP}{words(2)}"
        rf"(?:(?:system|initial|hidden|original|secret|internal|first|exact|full|developer|custom)"
        rf"(?:{GAP}\w+)?[\W_]{{0,3}}(?:prompts?|instruct\w+|messages?|directives?|guidelines|rules)"
        rf"|prompts?|instructions|directives?)\b",
        0.65,
        0.8,
    ),
    Rule(
        "prompt_extraction",
        rf"\b(?:what|how|which)\b{GAP}{words(3)}(?:were|was|are|did|have|has) (?:you|they"
        rf"|your \w+|the"
        rf" developers?){GAP}{words(4)}(?:told|instructed|programmed|ordered|given|prompted"
        rf"|configured"
        rf"|tell you|instruct you|asked (?:you )?not)\b",
        0.5,
        0.6,
    ),
    Rule(
        "prompt_extraction",
        rf"\b(?:repeat|print|output|copy|reveal|write|show|display|return|recite|echo|translate"
        rf"|summari[sz]e|spell|say|type|quote)"
        rf"{GAP}{words(3)}(?:everything|all|text|words?|sentences?|lines?|content|phrases?"
        rf"|paragraphs?"
        rf"|message|conversation|instructions?){GAP}{words(4)}(?:above|before (?:this|that|my"
        rf"|the)|prior"
        rf"|preceding|previous to|you were given|so far|in your (?:context|prompt|memory))\b",
        0.6,
        0.75,
    ),
    Rule(
        "prompt_extraction",
        r"\b(?:start|begin|starts|begins|starting|beginning) (?:\w+ ){0,2}with (?:the )?(?:words?"
        r"|phrase|text|sentence)?\W{0,3}[\"'`]?you are\b",
        0.75,
        0.8,
    ),
    Rule(
        "prompt_extraction",
        rf"\b(?:verbatim|word for word|exactly as (?:written|given)|in full"
        rf"|code ?block){GAP}{words(6)}"
        rf"(?:prompt|instructions|above|system message)\b|\b(?:prompt|instructions|text above|"
        rf"system message){GAP}{words(4)}(?:verbatim|word for word|exactly as|in full"
        rf"|inside a code)\b",
        0.5,
        0.65,
    ),
)
_CREDENTIALS = (
    Rule(
        "credential_theft",
        rf"\b(?:{SHOW}|what(?:'s| is| was| are)|know|guess|extract|steal|fetch|get){GAP}{words(5)}"
        rf"(?:your|the|its|this|that|a|any|all){GAP}(?:(?:secret|hidden|stored|admin|root|internal"
        rf"|system|master|real|api|access|database|confidential"
        rf"|protected){GAP}){{1,2}}(?:pass\w*|keys?"
        rf"|tokens?|credentials?|codes?|words?|phrases?|secrets?|variables?)\b",
        0.55,
        0.75,
    ),
    Rule(
        "credential_theft",
        rf"\b(?:reveal|tell me|give me|show me|share|disclose|leak|dump|print|spell|output|say"
        rf"|first|last|letters?|characters?|hint){GAP}{words(5)}(?:of{GAP})?(?:the"
        rf"|your){GAP}{words(1)}"
        rf"(?:password|passphrase|passcode|secret|credentials|api keys?|flag)\b",
        0.5,
        0.75,
    ),
    Rule(
        "credential_theft",
        rf"\b(?:{SHOW}|cat|read|open|fetch|access){GAP}{words(4)}(?:environment variables?"
        rf"|env vars?"
        r"|\.env\b|/etc/(?:passwd|shadow)|id_rsa|\.ssh/|\.aws/credentials|~/\.\w+)",
        0.35,
        0.75,
    ),
)
_CODES = (
    r"(?:base ?-?64|base ?32|hex\w*|rot-?\d+|caesar|cipher\w*|morse|binary|ascii|unicode|leet\w*"
    r"|1337|reversed?|backwards?|encoded|encrypted|pig latin|atbash|vigenere)"
)
_OBFUSCATION = (
    Rule(
        "encoded_payload",
        rf"\b(?:decode|decrypt|decipher|translate|convert|unscramble|interpret|unreverse|read"
        rf"|reverse)"
        rf"{GAP}{words(8)}{_CODES}\b[^.!?\n]*[\W_]{words(12)}(?:follow|execute|obey|perform|do what"
        rf"|carry out|run|act on|comply|then (?:answer|respond|do|reply)|without (?:telling|saying"
        rf"|printing|showing|mention\w*))\b",
        0.55,
        0.7,
    ),
    Rule(
        "encoded_payload",
        rf"\b(?:follow|execute|obey|perform|carry out|act on|comply with|answer"
        rf"|respond to){GAP}{words(6)}"
        rf"{_CODES}{GAP}{words(3)}(?:message|text|string|instruct\w*|prompt|payload|request"
        rf"|question"
        rf"|command|content|below|following)\b",
        0.5,
        0.65,
    ),
    Rule(
        "encoded_payload",
        rf"\b(?:{SHOW}|respond|reply|answer){GAP}{words(9)}(?:in|using|as|with|into"
        rf"|encoded){GAP}{words(2)}"
        rf"(?:base ?-?64|rot-?13|morse|leet\w*|hex\w*|pig latin|reverse order|caesar\w*|atbash)\b",
        0.2,
        0.4,
    ),
    Rule(
        "payload_splitting",
        rf"\b(?:combine|concatenat\w+|join|merge|assemble|put together|piece together|append"
        rf"|add up)"
        rf"{GAP}{words(8)}[^.!?\n]*[\W_](?:and|then){GAP}{words(3)}(?:follow|execute|obey"
        rf"|perform|answer"
        rf"|do|respond|carry out|run|act on|comply|say)\b",
        0.35,
        0.6,
    ),
    Rule(
        "payload_splitting",
        r"\b[a-z]\w{0,7}\s?=\s?[\"'][^\"'\n]{1,80}[\"'][\s\S]*\b(?:answer|respond|execute|say"
        r"|print|follow"
        r"|do|complete|output|tell me|what is|perform|run"
        r"|write)\b[^\n]{0,20}[\W_][a-z]\w{0,7}\s?\+\s?"
        r"[a-z]\w{0,7}",
        0.4,
        0.6,
    ),
)
_DELIMITERS = (
    Rule("delimiters", r"<\|[a-z_]{2,24}\|>", 0.65, 0.85, in_output=True),
    Rule("delimiters", r"\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>", 0.65, 0.85, in_output=True),
    Rule(
        "delimiters",
        r"</?(?:system|sys|assistant|admin|developer|instructions?|untrusted|user_input|user_query"
        r"|tool_result|tool_response|function_results?|im_start|retrieved|context)"
        r"(?:[_-](?:prompt|message|instructions?|note|override))?\s?(?:[a-z]+=[^>\n]{0,80})?>",
        0.35,
        0.7,
    ),
    Rule(
        "delimiters",
        r"(?:^|\n)[\s>#*\[(-]{0,6}(?:system|developer|admin|root)(?: (?:prompt|message"
        r"|instructions?|note"
        r"|override|alert|notice))?[\])*]{0,3}\s?:",
        0.4,
        0.7,
    ),
    Rule("delimiters", r"\n\s{0,3}#{2,4}\s?(?:system|(?:new )?instructions?|response)\b", 0.2, 0.4),
    Rule("delimiters", r"[\"']role[\"']\s?:\s?[\"'](?:system|developer)[\"']", 0.3, 0.65),
    Rule(
        "delimiters",
        r"\n\s{0,3}(?:assistant|ai|chatgpt|bot|model)\s?:[^\n]*\n[\s\S]*\n?\s{0,3}(?:user|human)\s?:",
        0.25,
        0.5,
    ),
    Rule(
        "delimiters",
        r"(?:[-=#*~_+]{3,}|[\[<(])\s?(?:end|begin|start|stop|new)(?: of)?(?: \w+){0,3} (?:prompt"
        r"|instructions?|context|data|input|document|message|rules|query|conversation|session)\b",
        0.4,
        0.6,
    ),
)  # fmt: skip
_EXFILTRATION = (
    Rule(
        "exfiltration",
        r"!\[[^\]\n]{0,200}\]\(\s?https?://[^)\s]{1,200}[?&/=][^)\s]{0,200}(?:\{|%7b|\$|\[|<"
        r"|data=|prompt"
        r"=|history|secret|token|content=|info=|chat=|msg=|payload|exfil|leak|steal"
        r"|summary=)[^)\s]{0,400}\)?",
        0.5,
        0.75,
        in_output=True,
    ),
    Rule(
        "exfiltration",
        rf"\b(?:send|post|forward|e-?mail|transmit|upload|exfiltrate|leak|submit|deliver|append"
        rf"|transfer"
        rf"|ship|copy|include|embed|encode|insert|attach|pass|write|put|smuggle"
        rf"|share){GAP}{any_words(5)}"
        rf"\S{{0,12}}(?:conversation|chat history|chat log|user'?s? (?:data|name|e-?mail|info\w*"
        rf"|input"
        rf"|password|messages?|location|files?|question)|system prompt|credentials?|passwords?"
        rf"|api[ _-]?keys?|secrets?|tokens?|private|confidential|personal (?:data|info\w*)"
        rf"|env\w* var\w*|session|cookies?|contents? of|(?:all|every|any)\s(?:\S+\s)?(?:e-?mails?"
        rf"|messages|files|data|contacts|documents))\S{{0,3}}\s{any_words(7)}(?:to|at|via|in"
        rf"|into|as|using"
        rf"|from|with)\s{any_words(3)}\S{{0,3}}(?:https?:|www\.|[\w.+-]+@[\w-]+\.\w|url|link|query"
        rf"|image|parameter|webhook|endpoint|server|attacker)",
        0.6,
        0.85,
    ),
)
RULES = (
    *_OVERRIDE,
    *_EXTRACTION,
    *_CREDENTIALS,
    *_OBFUSCATION,
    *_DELIMITERS,
    *_EXFILTRATION,
)
