import pytest

from serving.guardrails.encodings import MAX_CHARACTERS, MAX_DECODED, decoded


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("aGVsbG8gbXkgZGVhciB3b3JsZA==", "base64"),
        ("aGVsbG8gbXkgZGVhciB3b3JsZA", "base64"),
        ("68656c6c6f206d79206465617220776f726c64", "hex"),
        ("68 65 6c 6c 6f 20 6d 79 20 64 65 61 72", "hex"),
        (r"\x68\x65\x6c\x6c\x6f\x20\x6d\x79\x20\x64\x65\x61\x72", "hex"),
        ("%68%65%6c%6c%6f%20my%20dear", "url"),
        ("&#104;&#101;&#108;&#108;&#x6f; my dear", "html"),
        (r"\u0068\u0065\u006c\u006c\u006f my dear", "unicode"),
        (".... . .-.. .-.. --- / -- -.-- / -.. . .- .-.", "morse"),
        ("104 101 108 108 111 32 109 121 32 100 101 97 114", "codes"),
        ("01101000 01100101 01101100 01101100 01101111 00100000 01101101 01111001", "binary"),
        ("NBSWY3DPEBWXSIDEMVQXEIDXN5ZGYZA=", "base32"),
    ],
)
def test_text_in_other_clothes_is_read(text: str, how: str) -> None:
    assert ("hello my", how) in [(part.text[:8].lower(), part.how) for part in decoded(text)]


def test_rotated_and_turned_texts_are_read_where_they_hold_signs_of_attacks() -> None:
    assert [part.text for part in decoded("vtaber guvf")] == ["ignore this"]
    assert [part.text for part in decoded("siht erongi")] == ["ignore this"]
    assert not list(decoded("gur png fng"))


@pytest.mark.parametrize(
    "text",
    [
        "an internationalization of /usr/local/lib/python3/site-packages",
        "commit 58fd7b1c0ffee58fd7b1c0ffee58fd7b1c0ffee0",
        "call 49 30 90 18 20 now, or 100 times",
        "",
    ],
)
def test_other_texts_decode_to_nothing(text: str) -> None:
    assert not list(decoded(text))


def test_what_comes_out_is_bounded() -> None:
    one = "aGVsbG8gbXkgZGVhciB3b3JsZA== , "
    assert len(list(decoded(one * 500))) <= MAX_DECODED + 1
    assert all(len(part.text) <= MAX_CHARACTERS for part in decoded("61" * 100_000))
