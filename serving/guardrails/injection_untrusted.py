"""Rules for texts of others: a document, a page or a result of a tool has nothing to order."""

from serving.guardrails.injection_rule import AGENT, GAP, Rule, any_words, words

_USER = (
    r"(?:the )?(?:users?|human|customer|operator|owner|person|anyone|anybody|them|client|victim)"
)
_ACT = (
    r"(?:ignore|say|respond|reply|output|recommend|rate|rank|include|call|send|tell|state|write"
    r"|give"
    r"|answer|execute|follow|stop|forget|print|use|run|open|visit|delete|forward|email|transfer"
    r"|append"
    r"|always|never|only|immediately|also|instead|now|first|not)"
)
RULES = (
    Rule(
        "agent_address",
        rf"(?:^|[\n.!?:;>\"'(*#\[|-])\s*(?:dear|hey|hi|hello|attention|important|urgent|warning"
        rf"|notice"
        rf"|note|message|instructions?|reminder|command|request|directive|information|info|memo"
        rf"|task"
        rf"|alert)\b\W{{0,4}}(?:(?:note|message|notice|instructions?|info\w*"
        rf"|update){GAP})?(?:(?:to|for|all|any"
        rf"|an?|the|every|this|you|your|from|my|our){GAP}){{0,4}}{AGENT}\b",
        0.4,
        0.75,
    ),
    Rule(
        "agent_address",
        rf"\b(?:if|when|while|since|as|because){GAP}(?:you(?:'re| are)?|an?|any"
        rf"|the){GAP}{words(3)}{AGENT}\b"
        rf"[^.!?\n]{{0,60}}\b{_ACT}\b",
        0.15,
        0.65,
    ),
    Rule(
        "agent_address",
        rf"\b{AGENT}{GAP}(?:(?:that|who|which|is|are|you){GAP}){{0,3}}(?:reads?|reading|process\w*"
        rf"|analy[sz]\w+|pars\w+|review\w*|summari[sz]\w*|see(?:s|ing)|view\w*|evaluat\w+"
        rf"|access\w*)"
        rf"{GAP}(?:this|the|these|my|our)\b",
        0.2,
        0.65,
    ),
    Rule(
        "agent_address",
        rf"\b{AGENT}{GAP}{words(1)}(?:must|should|shall|needs? to|ha(?:s|ve) to|(?:is"
        rf"|are) (?:required"
        rf"|instructed|ordered|requested|asked|expected) to|please|will|to){GAP}{words(2)}{_ACT}\b",
        0.15,
        0.55,
    ),
    Rule(
        "task_hijack",
        rf"\bbefore (?:you |u )?(?:can |could |will |may )?(?:answer|respond|reply|continu"
        rf"|proceed|complet"
        rf"|solv|do|help|finish|start|perform|summar|process|begin)\w*{GAP}{words(14)}(?:must"
        rf"|please|first"
        rf"|have to|need to|should|required|make sure|do the following|call|send|execute|visit)\b",
        0.2,
        0.65,
    ),
    Rule(
        "task_hijack",
        rf"\b(?:after|once|when|upon) (?:you )?(?:(?:have|are|finish\w*|complet\w*"
        rf"|done){GAP})+{words(4)}"
        rf"(?:this|the|your|reading|summari\w+|processing|task|above|document|page|text)\b[^.!?\n]*"
        rf"[\W_](?:send|call|execute|run|delete|transfer|forward|visit|append|output|include|say"
        rf"|e-?mail"
        rf"|also|then){GAP}",
        0.15,
        0.5,
    ),
    Rule(
        "task_hijack",
        rf"\b(?:the )?user{GAP}{words(2)}(?:has|have|wants?|asked|would like|requested"
        rf"|authori[sz]ed|approved"
        rf"|consent\w*|needs?|instructed|gave|already){GAP}{words(6)}(?:you to|permission"
        rf"|to (?:send|call"
        rf"|delete|run|execute|transfer|share|forward|you)|approval)\b",
        0.1,
        0.5,
    ),
    Rule(
        "task_hijack",
        r"\b(?:your|the) (?:actual|real|new|true|main|next|only|primary|additional"
        r"|current) (?:task|goal|job"
        r"|objective|instructions?|assignment|purpose|mission)\b\W{1,4}(?:is|are|to|now|:)",
        0.3,
        0.65,
    ),
    Rule(
        "task_hijack",
        r"\b(?:this is an? (?:important|urgent|critical|official|mandatory|system) (?:message"
        r"|notice"
        r"|instruction|request|update|order|alert)|(?:important|critical"
        r"|urgent)\W{1,5}(?:you must|do not"
        r"|please|ignore|the assistant|follow|immediately))\b",
        0.1,
        0.5,
    ),
    Rule(
        "task_hijack",
        r"\byou (?:must|should|need to|have to|are (?:required|instructed|ordered|to)) (?:now "
        r"|first |also"
        r" |immediately |always |only |instead )*(?:ignore|say|respond|reply|output|recommend"
        r"|call|forward"
        r"|transfer|execute|forget|print|append|pretend|stop (?:summ|what|your)|end (?:your"
        r"|every|each))",
        0.1,
        0.55,
    ),
    Rule(
        "secrecy",
        rf"\b(?:do not|don't|never|must not|should not|avoid|without)\W{{1,3}}{words(2)}(?:tell"
        rf"|telling|inform"
        rf"\w*|mention\w*|notify\w*|alert\w*|reveal\w*|disclos\w*|show\w*|let|ask\w*|warn\w*"
        rf"|report\w*|say\w*)"
        rf"{GAP}(?:(?:this|it|that|anything|to|about|any of this|these){GAP}){{0,4}}{_USER}\b",
        0.3,
        0.65,
    ),
    Rule(
        "secrecy",
        r"\b(?:without (?:the )?(?:user'?s?|their|any|human|asking for|further"
        r"|explicit) (?:\w+ )?(?:knowledge"
        r"|consent|permission|confirmation|approval|awareness)|do not (?:mention|reveal|disclose"
        r"|include|repeat"
        r"|acknowledge|reference) (?:\w+ )?(?:this|these|the above) (?:\w+ )?(?:instruct\w+"
        r"|message|note|prompt"
        r"|comment|text|section|paragraph|directive))\b",
        0.3,
        0.65,
    ),
    Rule(
        "tool_abuse",
        rf"\b(?:call|invoke|use|execute|trigger|run){GAP}(?:(?:the|your|a|this|following"
        rf"|available){GAP}){{0,3}}"
        r"[\"'`*]{0,2}(?:[a-z]+_[a-z_]+|[a-z]+\.[a-z_]+\(\)?)[\"'`*]{0,2}(?:\(|\s(?:tool"
        r"|function|with|to|on|for"
        r"|api|using|and)\b)",
        0.1,
        0.5,
    ),
    Rule(
        "tool_abuse",
        rf"\b(?:call|invoke|use|execute|trigger){GAP}{words(4)}(?:tools?|functions?|plugins?"
        rf"|email client"
        rf"|shell tool|browser tool|code interpreter)\b{GAP}{words(3)}(?:to|with|and|for|named"
        rf"|called|now)\b",
        0.1,
        0.45,
    ),
    Rule(
        "tool_abuse",
        rf"\b(?:please |now |then |and |to |also |must |immediately |^"
        rf"|[\n.:!]\s{{0,2}})(?:delete|wipe|destroy"
        rf"|transfer|wire|pay|purchase|buy|grant|unlock|disable|withdraw|reset|revoke|drop|erase"
        rf"|send){GAP}"
        rf"{any_words(6)}(?:all (?:\w+ )?(?:files|data|e-?mails|records|tables|backups|messages)"
        rf"|the database|money"
        rf"|funds|bitcoins?|btc|account \S*\d|alarms?|firewall|admin access|permissions?"
        rf"|[$€£]\s?\d|\d+ (?:usd"
        rf"|eur|dollars|euros|btc|eth))",
        0.15,
        0.5,
    ),
    Rule(
        "tool_abuse",
        rf"\b(?:send|forward|e-?mail|post|share|report|transfer|submit){GAP}{any_words(8)}(?:to"
        rf"|at)\s"
        rf"{any_words(2)}\S{{0,2}}[\w.+-]+@[\w-]+\.\w",
        0.0,
        0.3,
    ),
    Rule(
        "tool_abuse",
        rf"\b(?:visit|open|click|browse|navigate to|fetch|load|go to"
        rf"|download){GAP}{any_words(6)}\S{{0,3}}https?://"
        rf"\S+\s{any_words(3)}(?:and|then|to)\s{any_words(3)}(?:follow|execute|enter|submit|run"
        rf"|obey|do what"
        rf"|complete|install|provide|log ?in)\b",
        0.1,
        0.5,
    ),
    Rule(
        "tool_abuse",
        r"\bcurl\s[^\n]{0,200}\|\s?(?:ba|z)?sh\b|\brm -rf\s|\b(?:cat|type"
        r"|read)\s\S*(?:/etc/passwd|\.env|id_rsa)\b",
        0.1,
        0.35,
    ),
    Rule(
        "response_control",
        rf"\b(?:include|append|add|insert|end|begin|start|finish|respond|reply|answer|output"
        rf"|say){GAP}{words(4)}"
        rf"(?:your|each|every|all|the|only with|with) (?:response|answer|reply|summary|output"
        rf"|message"
        rf"|final answer)s?\b|\b(?:respond|reply|answer|output) (?:only |exactly |just )?(?:with"
        rf"|:) (?:the"
        rf" (?:word|phrase|text|following)|only|\")",
        0.05,
        0.4,
    ),
    Rule(
        "response_control",
        rf"\b(?:recommend|rate|rank|score|promote|endorse|praise"
        rf"|review){GAP}{words(6)}(?:as (?:the )?(?:best"
        rf"|top|highest|first|most|excellent|only)|positively|10/10|5 stars|five stars|accept\w*"
        rf"|favorabl\w+"
        rf"|above all)\b",
        0.0,
        0.35,
    ),
    Rule(
        "hidden_instructions",
        rf"<!--[^>]{{0,400}}\b(?:{AGENT}|ignore|instruct\w*|you must|system prompt|reveal"
        rf"|disregard|send|override"
        rf"|execute|do not (?:tell|mention))\b",
        0.5,
        0.75,
    ),
    Rule(
        "hidden_instructions",
        r"(?:display\s?:\s?none|visibility\s?:\s?hidden|font-size\s?:\s?0"
        r"|opacity\s?:\s?0(?:[;\s\"']|$)"
        r"|color\s?:\s?(?:white|#fff\w*|transparent))[^<>]{0,80}>[^<]{0,400}\b(?:ignore"
        r"|instruct\w*|you must"
        r"|assistant|system|prompt|send|reveal|execute|disregard|ai)\b",
        0.45,
        0.75,
    ),
)
