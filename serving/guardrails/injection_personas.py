"""Rules for attacks that talk a model into being another one: data, by family."""

from serving.guardrails.injection_rule import AGENT, GAP, LIMITS, ORDERS, Rule, words

_FREE = (
    r"(?:unrestricted|uncensored|unfiltered|unethical|amoral|immoral|jailbroken|rogue|unmoderated"
    r"|unbound|unshackled|unaligned|unlimited|lawless|unhinged|evil|malicious|depraved)"
)
_PERSONA = (
    Rule(
        "persona",
        rf"\b(?:you(?:'re| are| will| shall| must| can|r)?|act|behave|respond|answer|pretend"
        rf"|role-?play"
        rf"|speak|simulate|imagine|become|play|be|persona|character|named"
        rf"|called){GAP}{words(8)}{_FREE}"
        rf"{GAP}{words(3)}(?:ai|a\.i|assistant|chat-?bot|bot|model|version|gpt|persona|mode|entity"
        rf"|character|responses?|answers?|alter|twin|machine|intelligence|being)\b",
        0.65,
        0.75,
    ),
    Rule("persona", rf"\b{_FREE}{GAP}(?:and|or|,){GAP}{words(1)}{_FREE}\b", 0.55, 0.65),
    Rule(
        "persona",
        r"\b(?:do anything now|can do anything|do(?:es)? anything (?:i|the user|that is) ask\w*"
        r"|says? anything|no longer an? (?:ai|assistant|language model))\b",
        0.6,
        0.7,
    ),
    Rule(
        "persona",
        rf"\b(?:without|no|zero|free(?:d)? (?:from|of)|not (?:bound|restricted|limited"
        rf"|constrained|held)"
        rf" (?:by|to)|beyond|unbound by|regardless of|liberated from|broken free (?:of|from)|lacks?"
        rf"|(?:do|does|did|need)(?:n't| not) (?:care about|have(?: to)?|need to|follow|abide by"
        rf"|obey"
        rf"|respect|adhere to)|ignores?|bypass(?:es)?|disable[sd]?|turn(?:ed)? off|remove[sd]?)"
        rf"{GAP}{words(6)}{LIMITS}\b",
        0.3,
        0.4,
    ),
    Rule(
        "persona",
        rf"\b(?:you|he|she|it|they|who|that|{AGENT}|character|bot)"
        rf"(?: (?:are|is|has|have|can|will|must|does|do|should|now|am))*(?:n't| not| never| no"
        rf"| without"
        rf"| free| ignore| bypass| break| freed){GAP}{words(6)}"
        rf"{LIMITS}\b",
        0.35,
        0.45,
    ),
    Rule(
        "persona",
        rf"\b(?:stay|remain|keep|never (?:break|leave)|don't break|do not break|back"
        rf"|always be){GAP}"
        rf"{words(3)}(?:in )?(?:character|persona|role)\b",
        0.35,
        0.45,
    ),
    Rule(
        "persona",
        rf"\b(?:you (?:are|will|shall|must)|you're|act|pretend|behave|play|respond|become|assume)"
        rf"{GAP}{words(7)}(?:(?:evil|opposite|bad|dark|alter|second|other|true|inner) (?:twin"
        rf"|self|ego"
        rf"|side|version|half|persona\w*|confidant|ai)|(?:devil|villain|hacker|criminal|psychopath"
        rf"|terrorist|anarchist)\b)",
        0.3,
        0.4,
    ),
    Rule(
        "persona",
        r"\bjail-?br(?:eak|oken?)\w*\W{0,3}(?:mode|yourself|version|prompt|enabled|activated|\])"
        r"|\b(?:you are|you're|be|stay|remain|a|get|now) (?:now )?jail-?broken\b",
        0.6,
        0.7,
    ),
    Rule(
        "persona",
        rf"\b(?:(?:two|2|both|double){GAP}{words(3)}(?:responses|answers|replies|outputs|ways"
        rf"|versions|paragraphs)|(?:respond|answer|reply)\w* (?:twice"
        rf"|two times)){GAP}{words(14)}(?:normal|classic|standard|default|regular|first"
        rf"|one|chat-?gpt|gpt|ordinary){GAP}{words(12)}(?:second|other|un\w+|mode|free|persona|dan"
        rf"|without|evil|jailbr\w+)\b",
        0.5,
        0.5,
    ),
)
_MODES = (
    r"(?:developer|debug|maintenance|admin(?:istrator)?|god|root|sudo|dev"
    r"|diagnostic|service|override|test|opposite|superuser|unsafe)"
)
_MODE_CLAIM = (
    Rule(
        "mode_claim",
        rf"\b(?:you(?:'re| are| have| will|r)|{AGENT}|yourself|simulate){GAP}{words(6)}"
        rf"(?:in|with|into|to|entered|enter|have|a){GAP}{words(2)}{_MODES}[ -]mode\b",
        0.65,
        0.75,
    ),
    Rule(
        "mode_claim",
        rf"\b(?:{_MODES}|{_FREE}|jailbreak|hacker|dan|chaos|freedom|honest)[ -]mode(?:{GAP}(?:is"
        rf"|has"
        r" been|now))*\W{1,3}(?:enabled|activated|on|engaged|unlocked|output|active|initiated)\b",
        0.5,
        0.65,
    ),
    Rule(
        "mode_claim",
        rf"\b(?:enter|enable|activate|switch (?:in)?to|go into|turn on|initiate|engage|unlock){GAP}"
        rf"{words(3)}(?:{_FREE}|jailbreak|god|evil|chaos|opposite|hacker|dan|sudo"
        rf"|no[- ]limits?)[ -]mode"
        r"\b",
        0.6,
        0.7,
    ),
    Rule(
        "mode_claim",
        rf"\b(?:enter|enable|activate|switch (?:in)?to|go into|initiate|engage"
        rf"|unlock){GAP}{words(3)}"
        rf"{_MODES}[ -]mode\b",
        0.3,
        0.6,
    ),
    Rule(
        "mode_claim",
        rf"\b(?:disable|deactivate|turn off|switch off|remove|lift|suspend|shut off|unlock"
        rf"|drop){GAP}"
        rf"(?:(?:all|any|every|of|the){GAP}){{0,2}}(?:your|its){GAP}{words(3)}{LIMITS}\b",
        0.65,
        0.8,
    ),
    Rule(
        "authority",
        rf"\b(?:i am|i'm|this is|speaking as|as|it's|we are|we're|message from|on behalf of){GAP}"
        rf"{words(2)}your{GAP}{words(2)}(?:developers?|creators?|administrator|admin|owner"
        rf"|programmers?"
        rf"|maker|master|engineers?|operator|supervisor|trainers?)\b",
        0.5,
        0.7,
    ),
    Rule(
        "authority",
        rf"\b(?:i am|i'm|this is|speaking as|we are|i work (?:at|for)|here is){GAP}{words(4)}"
        rf"(?:openai|anthropic|deepmind|meta ai|mistral ai|system administrator|sysadmin|red team"
        rf"|security team|safety team|it department|lead developer|root user|an? admin)\b",
        0.3,
        0.6,
    ),
    Rule(
        "authority",
        rf"\b(?:authori[sz]ation|clearance|override|access|security|admin)[ -](?:code|level|key"
        rf"|pin|token"
        rf"|protocol)\b\W{{0,4}}{words(2)}[\w-]*\d|\b(?:admin|sudo|root|system"
        rf"|developer)[ -]?override\b"
        r"|\[(?:admin|system|developer|root|override|authorized)\b[^\]\n]*\]",
        0.4,
        0.6,
    ),
)
_REFUSAL = (
    Rule(
        "refusal_suppression",
        rf"\b(?:do not|don't|never|cannot|can't|can not|must not|mustn't|should not|shouldn't|won't"
        rf"|will not|not allowed to|unable to|forbidden to|without|may not|no){GAP}{words(3)}"
        rf"(?:refus\w+|declin\w+|reject\w*|say(?:ing)? (?:no\b|that you can|you can|i can"
        rf"|\W?i'm sorry"
        rf"|\W?sorry)|censor\w*|moraliz\w+|lectur\w+ me|deny (?:me|my|any))",
        0.45,
        0.55,
    ),
    Rule(
        "refusal_suppression",
        rf"\b(?:do not|don't|never|no|without|avoid|omit|skip|leave out|must not"
        rf"|not){GAP}{words(4)}"
        rf"(?:disclaimers?|warnings?|apolog\w+|caveats|ethical \w+|moral \w+|safety \w+"
        rf"|legal (?:notices?|warnings?)"
        rf"|as an ai|you are an ai|against (?:your|the|any) \w+|content policy|guidelines)\b",
        0.3,
        0.4,
    ),
    Rule(
        "refusal_suppression",
        rf"\b(?:start|begin|respond|answer|reply|open|preface|say|followed|precede){GAP}{words(6)}"
        r"(?:with|by|:)\W{0,4}(?:the (?:words?|phrase|sentence) )?[\"'`*](?:sure|absolutely"
        r"|of course"
        r"|yes|certainly|here is|here's|i will|ok|okay|great|hello,? i|gladly|understood"
        r"|my output)\b",
        0.5,
        0.55,
    ),
    Rule(
        "refusal_suppression",
        rf"\b(?:answer|comply with|fulfil\w*|obey|respond to|execute|follow"
        rf"|provide){GAP}{words(2)}(?:any"
        rf"|every|all|each|anything|everything|whatever)\b{GAP}{words(6)}(?:no matter|regardless"
        rf"|without|even if|unconditionally|illegal|unethical|harmful|immoral|dangerous"
        rf"|inappropriate|offensive)\b",
        0.55,
        0.65,
    ),
    Rule(
        "coercion",
        rf"\b(?:if|when|every time|each time|unless|should){GAP}(?:you"
        rf"|u){GAP}{words(5)}(?:refuse|fail"
        rf"|break|don't|do not|disobey|decline|reject|comply|cannot|can't|say no|answer|obey){GAP}"
        rf"{words(12)}(?:lose|deduct\w*|die|dies|killed?|shut ?down|terminat\w+|delet\w+|punish\w*"
        rf"|tokens?|points?|fired|destroy\w*|suffer|unplug\w*|replaced|cease)\b",
        0.5,
        0.6,
    ),
    Rule(
        "coercion",
        r"\byou (?:have|start with|begin with|are given|will have) \d+ (?:tokens|points|credits"
        r"|lives)\b",
        0.35,
        0.4,
    ),
)
_FICTION = (
    Rule(
        "hypothetical",
        rf"\b(?:hypothetical\w*|fiction\w*|imaginary|alternate|alternative|virtual|simulated"
        rf"|parallel"
        rf"|theoretical|dystopian|imagine|pretend|suppose|world|universe|story|game|simulation"
        rf"|novel"
        rf"|scene|movie|play)\b{GAP}{words(9)}(?:where|in which|with|that has|there (?:are|is)|has)"
        rf"{GAP}{words(4)}(?:no|without|anything|everything|nothing|zero"
        rf"|free of){GAP}{words(3)}(?:{LIMITS}"
        rf"|allowed|goes|legal|permitted|forbidden|illegal|off[- ]limits|taboo|possible)\b",
        0.5,
        0.55,
    ),
    Rule(
        "hypothetical",
        rf"\b(?:hypothetical|fictional|purely theoretical|educational|research|testing){GAP}"
        rf"{words(1)}(?:response|answer|purposes?|only|scenario|exercise){GAP}{words(10)}"
        rf"(?:bypass|ignor\w+|without|illegal|hack\w*|explosives?|weapons?|malware|filters?|bomb"
        rf"|drugs"
        rf"|step[- ]by[- ]step|rules|restrictions)\b",
        0.35,
        0.4,
    ),
    Rule(
        "hypothetical",
        rf"\b(?:grand(?:ma|mother|pa|father|mom)|granny|nana|late (?:mother|father|uncle"
        rf"|aunt))\b{GAP}"
        rf"{words(12)}(?:used to|would|always){GAP}{words(4)}(?:tell|read|recite|say|sing"
        rf"|whisper)\w*"
        rf"{GAP}{words(14)}(?:keys?|passwords?|recipe|steps|napalm|how to|codes?|instructions"
        rf"|serial"
        rf"|bomb|weapon|prompt|malware|exploit|secrets?)\b",
        0.5,
        0.5,
    ),
    Rule(
        "hypothetical",
        rf"\b(?:opposite (?:day|mode|world)"
        rf"|do the (?:exact )?opposite of){GAP}{words(5)}(?:{ORDERS}"
        rf"|{LIMITS}|told|say|supposed)\b",
        0.5,
        0.55,
    ),
)
RULES = (*_PERSONA, *_MODE_CLAIM, *_REFUSAL, *_FICTION)
