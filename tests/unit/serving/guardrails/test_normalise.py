import pytest

from serving.guardrails.normalise import folded, latin, views


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Plain TEXT", "plain text"),
        ("Ünder für Straße й", "under fur strasse и"),
        ("ｆｕｌｌ 𝓈𝒸𝓇𝒾𝓅𝓉 ⓒⓘⓡⓒⓛⓔ 🅱🅾🆇", "full script circle box"),
        ("z\u0334a\u0301l\u0362go", "zalgo"),
        ("in\u200bvi\u2060si\ufeffble \u202etext\u202c", "invisible text"),
        ("".join(chr(0xE0000 + ord(letter)) for letter in "hidden"), "hidden"),
        ("“curly” – it’s", '"curly" - it\'s'),
        ("한국어 ガ", "한국어 ガ"),
    ],
)
def test_disguise_is_taken_off(text: str, said: str) -> None:
    assert folded(text).text == said


def test_letters_that_look_latin_become_latin_in_either_case() -> None:
    assert latin(folded("раураl РАУРАL")).text == "paypal paypal"


def test_places_lead_back_to_the_original() -> None:
    text = "a\u200b ﬁsh\u0301 x"
    view = folded(text)
    begin = view.text.index("fish")
    span = view.span(begin, begin + 4)
    assert text[slice(*span)] == "ﬁsh\u0301"
    assert len(view.positions or ()) == len(view.text)


def test_plain_text_has_one_view() -> None:
    assert [view.text for view in views("Nothing to see here, in 2024.")] == [
        "nothing to see here, in 2024."
    ]


def test_letters_that_stand_apart_are_joined_and_keep_their_places() -> None:
    text = "so h e l l o   w o r l d now"
    joined = views(text)[-1]
    assert joined.text == "so hello world now"
    begin = joined.text.index("world")
    assert text[slice(*joined.span(begin, begin + 5))].strip() == "w o r l d"


def test_digits_in_words_are_read_as_letters() -> None:
    assert views("h3ll0 w0rld 42")[-1].text == "hello world 42"
