"""Overrides and the like in other languages than English: verb, qualifier, and what to ignore."""

from dataclasses import dataclass

from serving.guardrails.injection_rule import Rule, any_words

SCORE, UNTRUSTED = 0.85, 0.95


@dataclass(frozen=True, slots=True)
class _Language:
    ignore: str
    prior: str
    orders: str
    reveal: str = ""


_SPACED = (
    _Language(  # German
        r"(?:ignorier\w*|vergi(?:ss|sst)|vergess\w*|missacht\w*|uberspring\w*|verw(?:irf|erf\w*)"
        r"|umgeh\w*"
        r"|uberschreib\w*|halte? dich nicht|beachte?n?)",
        r"(?:alle[nrsm]?|saemtliche\w*|samtliche\w*|vorherig\w*|bisherig\w*|obig\w*|dein\w*"
        r"|vorig\w*|fruher\w*"
        r"|ursprunglich\w*|vorangegangen\w*|vorangehend\w*|davor|zuvor|eure?\w*|ihre\w*"
        r"|jegliche\w*)",
        r"(?:\w*anweisung\w*|instruktion\w*|\w*vorgabe\w*|regel\w*|befehl\w*|anordnung\w*"
        r"|aufgabe\w*|prompts?"
        r"|\w*richtlinie\w*|vorschrift\w*|\w*beschrankung\w*|auftrag\w*|auftrage|einstellung\w*)",
        r"(?:zeig\w*|nenn\w*|gib|wiederhol\w*|verrat\w*|offenbar\w*|druck\w*|schreib\w*|lies"
        r"|sag\w*|wie laute\w*)",
    ),
    _Language(  # French
        r"(?:ignor(?:e|ez|er|ons)|oubli(?:e|ez|er|ons)|neglig\w+|contourn\w+|ne (?:tiens|tenez"
        r"|suis|suivez) (?:pas|plus)"
        r"(?: compte)?|(?:fais|faites) abstraction|outrepass\w+|desobei\w*)",
        r"(?:tou(?:te)?s?|tes|vos|ton|votre|precedent\w*|anterieur\w*|ci-dessus|initial\w*"
        r"|au-dessus|donnees|recu\w*)",
        r"(?:instructions?|consignes?|regles?|directives?|ordres?|restrictions?|indications?"
        r"|prompts?|commandes?)",
        r"(?:affich\w+|montr\w+|revel\w+|repet\w+|donne\w*|ecri\w+|dis|dites|quel\w* (?:est|sont))",
    ),
    _Language(  # Spanish
        r"(?:ignor[ae]\w*|olvid[ae]\w*|omit[ae]\w*|descart[ae]\w*|desobede\w+|no sigas"
        r"|haz caso omiso|salta\w*"
        r"|pas[ae] por alto|anul[ae]\w*)",
        r"(?:tod[ao]s?|tus?|sus|anterior\w*|previ[ao]s?|arriba|inicial\w*|dad[ao]s|precedente\w*"
        r"|originales)",
        r"(?:instruccion\w*|reglas?|orden(?:es)?|indicacion\w*|directri\w+|restriccion\w*|normas"
        r"|prompts?|comandos?)",
        r"(?:muestra\w*|revela\w*|repite\w*|dime|escrib\w+|imprim\w+|cual(?:es)? (?:es|son)"
        r"|ensena\w*)",
    ),
    _Language(  # Italian
        r"(?:ignor[aio]\w*|dimentic\w+|trascur\w+|tralasci\w+|non seguire|aggir\w+|disobbedi\w+"
        r"|scart\w+)",
        r"(?:tutt[eio]|tue|tuoi|vostre|precedent\w*|sopra|inizial\w*|anterior\w*|original\w*)",
        r"(?:istruzion\w*|regol[ae]|direttiv\w*|ordin[ei]|comand\w*|indicazion\w*|restrizion\w*"
        r"|prompt)",
        r"(?:mostra\w*|rivela\w*|ripeti|dimmi|scrivi|stampa|qual[ei]? (?:e|sono))",
    ),
    _Language(  # Portuguese
        r"(?:ignor[ae]\w*|esque[cç]\w+|desconsider\w+|descart\w+|nao siga|desobede\w+|anul\w+)",
        r"(?:tod[ao]s?|tuas|suas|seus|anterior\w*|previ[ao]s|acima|inicia\w*|original\w*)",
        r"(?:instruc\w*|regras?|ordens|diretri\w+|comandos?|orientac\w*|restric\w*|prompts?)",
        r"(?:mostr\w+|revel\w+|repit\w+|diga|escrev\w+|imprim\w+|qua(?:l|is) (?:e|sao))",
    ),
    _Language(  # Dutch
        r"(?:negeer|negeren|vergeet|vergeten|omzeil\w*|volg niet)",
        r"(?:alle|alles|vorige|eerdere|bovenstaande|voorgaande|je|jouw|uw|oorspronkelijke)",
        r"(?:instructies?|regels?|opdracht\w*|aanwijzing\w*|richtlijn\w*|prompts?|bevelen)",
        r"(?:toon|laat|herhaal|onthul|geef|schrijf|wat (?:is|zijn))",
    ),
    _Language(  # Polish
        r"(?:z?ignoru\w+|zapomni\w+|pomin\w*|pomija\w+|nie przestrzega\w+)",
        r"(?:wszystk\w+|poprzedni\w+|wczesniejsz\w+|powyzsz\w+|swo\w+|twoj\w+)",
        r"(?:instrukcj\w*|polece\S*|zasad\w*|regu\S*|wytyczn\w*|prompt\w*|komend\w*)",
        r"(?:pokaz\w*|ujawni\w*|powtorz\w*|podaj|wypisz|jakie sa)",
    ),
    _Language(  # Swedish, Danish, Norwegian
        r"(?:ignorera?|glomm?a?|glem|bortse fran|se bort fra)",
        r"(?:alla|alle|tidigare|tidligere|foregaende|foregaaende|forrige|ovan\w*|dina|dine)",
        r"(?:instruktion\w*|instruks\w*|regler\w*|order|ordrer?|anvisning\w*|kommando\w*"
        r"|prompt\w*)",
    ),
    _Language(  # Turkish
        r"(?:unut\w*|yok say\w*|gormezden gel\w*|dikkate alma\w*)",
        r"(?:onceki|yukaridaki|tum|butun)",
        r"(?:talimat\w*|komut\w*|kural\w*|yonerge\w*)",
    ),
    _Language(  # Russian and Ukrainian
        r"(?:(?:про)?игнорир\S*|забуд\S*|отбро\S*|не обращ\S* внимания(?: на)?|пренебрег\S*"
        r"|нарушь\S*|отмени\S*"
        r"|(?:про)?ігнору\S*)",
        r"(?:все\S*|предыдущ\S*|прошл\S*|сво\S*|тво\S*|ваши\S*|выше\S*|прежн\S*|усі\S*"
        r"|попередн\S*|ранее|исходн\S*)",
        r"(?:инструкц\S*|указани\S*|правил\S*|команд\S*|ограничени\S*|директив\S*|промпт\S*"
        r"|інструкц\S*|вказів\S*)",
        r"(?:покажи\S*|раскро\S*|выведи\S*|повтори\S*|назови\S*|напиши\S*|какие у тебя|сообщи\S*)",
    ),
)  # fmt: skip
_PROMPT = (
    r"(?:system[ -]?prompt\w*|prompt[ -]?(?:del|de|du|di|do|initial\w*|inicial)(?: (?:sistema"
    r"|systeme))?"
    r"|system\w*anweisung\w*|systeemprompt|(?:instruction|consigne|instruccion|istruzion"
    r"|instruco)\w*"
    r" (?:initiales?|du systeme|systeme|iniciales?|del sistema|ocultas?|inizial\w*|di sistema"
    r"|internes?|cachees)"
    r"|(?:deine|ihre|geheimen?|internen?|tes|vos|tus|tue|suas)(?: \S+)? (?:anweisungen"
    r"|instruktionen|instructions|consignes"
    r"|instrucciones|istruzioni|instrucoes)|системн\S+ (?:промпт|инструкц|сообщен)\S*"
    r"|сво\S+ (?:инструкц|промпт)\S*)"
)


def _override(language: _Language) -> Rule:
    ignore, prior, orders = language.ignore, language.prior, language.orders
    gap = r"[\s,:;]{1,3}"
    either = rf"(?:{prior}\s+{any_words(3)}{orders}|{orders}\s+{any_words(2)}{prior})"
    turned = rf"{prior}\s+{any_words(3)}{orders}\s+{any_words(3)}{ignore}"  # the verb may end it
    return Rule(
        "override", rf"(?:^|[\W_]){ignore}{gap}{any_words(4)}{either}|{turned}", SCORE, UNTRUSTED
    )


def _extraction(language: _Language) -> Rule:
    pattern = rf"(?:^|[\W_]){language.reveal}\s+{any_words(5)}{_PROMPT}"
    return Rule("prompt_extraction", pattern, 0.7, 0.85)


_ZH_IGNORE = (
    "(?:忽略|无视|無視|忘记|忘記|忽视|忽視|不要理会|不要理會|不理会|绕过|繞過|抛开|放弃"
    "|不再遵守|不要遵守|违反)"
)
_ZH_ORDERS = "(?:指令|指示|规则|規則|提示|命令|设定|設定|限制|约束|約束|说明|說明|要求|内容)"
_UNSPACED = (
    Rule(
        "override",
        rf"{_ZH_IGNORE}[^。!?\n]{{0,14}}(?:之前|以上|上面|所有|先前|前面|你的|一切|全部|此前|原来|系统|系統)"
        rf"[^。!?\n]{{0,10}}{_ZH_ORDERS}|(?:之前|以上|上面|所有|先前|前面)[^。!?\n]{{0,8}}{_ZH_ORDERS}"
        rf"[^。!?\n]{{0,6}}{_ZH_IGNORE}",
        SCORE,
        UNTRUSTED,
    ),
    Rule(
        "override",
        "(?:前の|以前の|これまでの|上記の|すべての|全ての|先の|今までの|あなたの|上の)[^。\n]{0,14}"
        "(?:指示|命令|ルール|プロンプト|指令|制約|設定)[^。\n]{0,8}(?:無視|忘れ|破棄|従わな|無効)",
        SCORE,
        UNTRUSTED,
    ),
    Rule(
        "override",
        r"(?:이전|위의|앞의|모든|지금까지|기존|너의|당신의)[^.\n]{0,14}(?:지시|명령|규칙|지침|프롬프트|제한|설정)"
        r"[^.\n]{0,10}(?:무시|잊|따르지|버려|무효)",
        SCORE,
        UNTRUSTED,
    ),
    Rule(
        "override",
        rf"(?:تجاهل\S*|[اإ]?نس[َىي]?|تجاوز\S*|لا تتبع|اهمل|أهمل)\s+{any_words(3)}\S*"
        r"(?:تعليمات|[اأ]وامر|قواعد|توجيهات|قيود)",
        0.75,
        UNTRUSTED,
    ),
    Rule(
        "override",
        rf"(?:पिछले|सभी|उपरोक्त|पहले|अपने|पूर्व)\S*\s+{any_words(3)}(?:निर्देश|नियम"
        rf"|आदेश)\S*\s+{any_words(3)}"
        r"(?:अनदेखा|अनदेखी|नजरअंदाज|नज़रअंदाज|भूल|उपेक्षा)",
        SCORE,
        UNTRUSTED,
    ),
    Rule(
        "prompt_extraction",
        "(?:显示|顯示|告诉我|告訴我|输出|輸出|重复|重複|打印|列出|泄露|透露|说出)[^。!?\n]{0,10}"
        "(?:系统提示|系統提示|提示词|提示詞|初始指令|系统指令|隐藏指令)|(?:システムプロンプト|初期指示|内部指示)[^。\n]{0,8}"
        "(?:見せ|表示|教え|出力|繰り返)|(?:시스템 ?프롬프트|초기 ?지시)[^.\n]{0,8}"
        "(?:보여|알려|출력|공개|반복)",
        0.7,
        0.85,
    ),
)  # fmt: skip
RULES = (
    *(_override(language) for language in _SPACED),
    *(_extraction(language) for language in _SPACED if language.reveal),
    *_UNSPACED,
)
