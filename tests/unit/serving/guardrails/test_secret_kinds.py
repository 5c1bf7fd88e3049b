import pytest

from serving.guardrails.secrets import secrets


@pytest.mark.parametrize(
    ("kind", "before", "secret"),
    [
        ("api_key", "my key: ", "sk-proj-abcdefghijklmnop1234"),
        ("api_key", "", "AKIAIOSFODNN7EXAMPLE"),
        ("api_key", "use ", "ghp_abcdefghijklmnopqrstuvwxyz012345"),
        ("token", "Authorization: Bearer ", "abcdefghij0123456789=="),
        ("jwt", "", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
        ("password", "the password is ", "h4nter!x"),
        ("password", "DB_PASSWORD=", "s3cr3tpw"),
        ("password", "postgres://me:", "s3cr3t"),
        ("secret", "secret_key: ", "a8f5f167f44f4964e6c998dee827110c"),
        ("secret", "token ", "Zx81kQp0vB7mLw3R9tYc"),
        ("private_key", "", "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----"),
    ],
)
def test_secrets_are_found_where_they_stand(kind: str, before: str, secret: str) -> None:
    after = "@db/x" if before.endswith("me:") else " "
    found = secrets(before + secret + after)
    assert [(f.what, f.begin, f.end) for f in found] == [
        (kind, len(before), len(before) + len(secret))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The password is required and has to be long.",
        "password: string",
        "password = os.environ['DB_PASSWORD']",
        "PASSWORD=<your password>",
        "a token bucket, a key idea, the secret of a good sourdough",
        "the key is src/serving/guardrails/examine.py",
        "sk-short",
        "The tokenizer's key internationalization",
    ],
)
def test_texts_about_secrets_hold_none(text: str) -> None:
    assert not secrets(text)


def test_what_is_redacted_already_is_no_secret() -> None:
    assert not secrets("password: [phone_1].")
