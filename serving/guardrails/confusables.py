"""Characters that stand for others: what a reader sees, as Latin letters. Self-made tables."""

# Lower case of both cases, so that a word looks the same however it is written.
_LOOKALIKES = (
    ("абвеһіїјкмнорсԁԛѕтухԝьғӏ", "abbehiijkmhopcdqstyxwbfl"),  # Cyrillic
    ("αβγεηικλνορστυχωμζςϲϳ", "abyenikavopotuxwmzscj"),  # Greek
    ("աոսօհցքյզ", "wnuohgqjq"),  # Armenian
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),  # small capitals
    ("ɑɡıɩɾʋʂƅɐǝɔɯɹʇʌʎ", "agiirvsbaecmrtvy"),  # of phonetic writing, turned ones too
    ("ꭺᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᏃ", "abcdehjklmprstvz"),  # Cherokee
    ("łøđħŧƀɓɗɖƙȷ", "lodhtbbddkj"),  # letters with strokes
)
LOOKALIKES = {
    seen: latin
    for row, shown in _LOOKALIKES
    for seen, latin in zip(row.casefold(), shown, strict=True)
}
# What NFKC leaves: quotes and dashes of typography, ends of lines.
PUNCTUATION = {
    **dict.fromkeys("‘’‚‛′`´ʼ＇", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u2028\u2029\x85", "\n"),
    "⁄": "/",
    "∕": "/",
    "\u2800": " ",
}
# Blank letters; all characters of the category Cf are invisible, too.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
TAGS = range(0xE0020, 0xE007F)  # an invisible copy of ASCII
TAG_SHIFT = 0xE0000
# Letters in black circles and squares, and those of flags: (first, of 26).
LETTER_BLOCKS = (0x1F150, 0x1F170, 0x1F1E6)
