"""Secrets: what is found, what is left alone, that nothing survives, and that no text makes it slow."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillforge.redact import Redactor, find_secrets

RANDOM = "aZ3kP9qLmX7vB2nT5wYcR8dF4gH6jS1uK0eQiWoA"  # 40 characters, made up
HEX = "9f86d081884c7d659a2feaa0c55ad015"

# Put together at run time, so that no scanner takes this file for a leak.
SECRETS = {
    "anthropic": "sk-" + "ant-api03-" + RANDOM,
    "openai": "sk-" + "proj-" + RANDOM,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp" + "_" + RANDOM[:36],
    "gitlab": "glpat" + "-" + RANDOM[:20],
    "google": "AIza" + RANDOM[:35],
    "huggingface": "hf" + "_" + RANDOM[:34],
    "slack": "xoxb" + "-123456789012-" + RANDOM[:24],
    "stripe": "sk" + "_live_" + RANDOM[:24],
    "npm": "npm" + "_" + RANDOM[:36],
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + RANDOM,
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\n-----END RSA " + "PRIVATE KEY-----",
    "card": "4111 1111 1111 1111",
}

IN_CONTEXT = [
    ("github", "github" + "_pat_" + RANDOM, "github" + "_pat_" + RANDOM),
    ("openai", "OPENAI=sk-" + RANDOM, RANDOM),
    ("openai", "sk-" + "svcacct-" + RANDOM[:20] + "_" + RANDOM, RANDOM),
    ("stripe", "rk" + "_live_" + RANDOM[:24], RANDOM[:24]),
    ("authorization", f"Authorization: Bearer {RANDOM}", RANDOM),
    ("authorization", '{"Authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
    ("authorization", f"curl -H 'bearer {HEX}'", HEX),
    ("credential", "password=hunter2", "hunter2"),
    ("credential", "password = 'swordfish'", "swordfish"),
    ("credential", '{"password": "it\'s\\"quoted\\"1"}', "it's"),
    ("credential", 'json: "{\\"db_password\\": \\"swordfish\\"}"', "swordfish"),
    ("credential", "api_key: 8f14e45fceea167a", "8f14e45fceea167a"),
    ("credential", f"aws_secret_access_key = {RANDOM}", RANDOM),
    ("credential", "DB_PASSWORD=$ecret99", "$ecret99"),
    ("credential", f"https://api.example.com/v1?api_key={HEX}&q=1", HEX),
    ("credential", "Passwort: Geheim!2024", "Geheim!2024"),
    ("url-login", "postgres://app:swordfish@db.example.com/orders", "swordfish"),
    ("url-login", "redis://:swordfish@cache:6379", "swordfish"),
    ("card", "card 5 5555-5555-5555-4444, exp 12/29", "5555-5555-5555-4444"),
    ("card", "amex 378282246310005.", "378282246310005"),
    ("private-key", "-----BEGIN PRIVATE " + "KEY-----\\nMIIEvQIBADANBg cut off", "MIIEvQIBADANBg"),
]

BENIGN = [
    "Where is my order LM-20394? I ordered on 2024-05-17 and paid 129.90.",
    str(uuid.UUID(int=0x4111111111111111411111111111111)),
    "12345678-1234-4111-8111-123456789012",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "IBAN DE89 3704 0044 0532 0130 00, GB29NWBK60161331926819",
    "IBAN DE12 4111 1111 1111 1111 00",
    "I forgot my password: it was changed yesterday. The password: forgotten?",
    "Password: must be at least 8 characters; secret: nobody knows; token: string",
    "password=os.environ['DB_PASSWORD'] api_key=get_secret() password=${DB_PASSWORD} api_key=YOUR_API_KEY",
    'client_secret=your-client-secret {"api_key": "sk-..."}',
    '{"password": "The user chose 1 password here", "api_key": "<your key>"}',
    "max_tokens: 20000000, tokens=12345678, token: 4, password_length=123456",
    "Bearer responsibilities of the token holder; basic authentication is simple",
    "Authorization: Bearer YOUR_API_TOKEN",
    "a sk-folding-cube-container-element of sk-learn-compatible-estimators-in-python",
    "call +49 30 901820 or 1731234567890, pi 3.141592653589793, id 4111111111111112",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==",
    "see https://example.com:8080/path and mail me@example.com, postgres://user:password@host/db",
    "-----BEGIN PRIVATE " + "KEY----- is how such a block starts",
    "The ASIA PACIFIC region, a key point: nothing here. Keyboard: qwertz123456",
]


@pytest.mark.parametrize("kind", SECRETS)
def test_every_kind_of_secret_is_taken_out_and_named(kind: str) -> None:
    text = f"before ({SECRETS[kind]}) after"
    assert find_secrets(text) == [kind]
    assert Redactor().text(text) == f"before ([redacted:{kind}]) after"


@pytest.mark.parametrize(("kind", "text", "secret"), IN_CONTEXT)
def test_secrets_are_found_where_they_usually_stand(kind: str, text: str, secret: str) -> None:
    assert kind in find_secrets(text)
    assert secret not in Redactor().text(text)


@pytest.mark.parametrize("text", BENIGN)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert find_secrets(text) == []
    assert Redactor({"LANG": "en_US.UTF-8"}).text(text) == text


CANARIES = st.text(min_size=8, max_size=20).filter(lambda text: len(text.strip()) >= 8) | st.sampled_from(
    ['quo"te\\back\nline', "tab\tand/slash", "ünïcödé-geheim", "/Abcd+efgh==", "12345678"]
)


def not_a_path(value: str) -> bool:
    return Redactor({"A_KEY": value}).text(value.strip()) != value.strip()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(CANARIES.filter(not_a_path), st.integers(0, 64))
def test_a_secret_of_the_environment_never_survives(canary: str, depth: int) -> None:
    redactor = Redactor({"MY_API_TOKEN": canary})
    canary = canary.strip()
    value: Any = {f"key {canary}": [f"a{canary}b", {"json": json.dumps({"x": canary})}], canary: 1, "n": 1}
    for _ in range(depth):
        value = {"deeper": [value]}
    for text in (
        json.dumps(redactor.value(value)),
        json.dumps(redactor.value(value), ensure_ascii=False),
        redactor.text(json.dumps(value)),
        redactor.text(json.dumps(value, ensure_ascii=False)),
        redactor.text(f"x{canary}y"),
        redactor.text("?q=" + quote(canary, safe="", errors="replace")),
    ):
        assert canary not in text
        for ascii_only in (True, False):
            assert json.dumps(canary, ensure_ascii=ascii_only)[1:-1] not in text


def test_a_numeric_secret_of_the_environment_is_found_in_a_number() -> None:
    assert Redactor({"DOOR_PASSWORD": "12345678"}).value({"pin": 12345678}) == {"pin": "[redacted:env]"}
    assert Redactor().value([4111111111111111, 1731234567890, -1, 1.5, True, None]) == [
        "[redacted:card]",
        1731234567890,
        -1,
        1.5,
        True,
        None,
    ]


def test_what_is_no_secret_of_the_environment_stays() -> None:
    env = {
        "SSH_KEY_FILE": "/home/me/.ssh/id_ed25519",
        "KEY_DIR": "~/keys-of-mine",
        "TOKEN_MODE": "disabled",
        "SHORT_KEY": "abc1234",
        "MAX_TOKENS": "20000000",
        "HOSTNAME": "build-machine-17",
        "KEY_KIND": "private-key",
    }
    text = " ".join(env.values())
    assert Redactor(env).text(text) == text


def test_a_secret_that_holds_another_goes_as_a_whole() -> None:
    env = {"A_KEY": "swordfish", "B_KEY": "swordfish-and-more"}
    assert Redactor(env).text("swordfish-and-more swordfish") == "[redacted:env] [redacted:env]"


def test_the_callers_mask_comes_last_and_reaches_keys() -> None:
    redactor = Redactor({"A_KEY": "swordfish"}, mask=lambda text: text.replace("Ada", "[name]"))
    assert redactor.value({"Ada": ["Ada swordfish"]}) == {"[name]": ["[name] [redacted:env]"]}


def test_keys_that_become_equal_keep_their_values_and_their_order() -> None:
    redactor = Redactor({"A_KEY": "swordfish", "B_KEY": "trombones"})
    clean = redactor.value({"b": 0, "swordfish": 1, "trombones": 2, "a": 3})
    assert list(clean.items()) == [("b", 0), ("[redacted:env]", 1), ("[redacted:env]#2", 2), ("a", 3)]
    assert redactor.value(clean) == clean


def test_nesting_far_beyond_the_recursion_limit_is_survived() -> None:
    value: Any = SECRETS["github"]
    for _ in range(5000):
        value = [value]
    clean = Redactor().value(value)
    for _ in range(5000):
        clean = clean[0]
    assert clean == "[redacted:github]"


@pytest.mark.parametrize("kept", [8, 20, len(HEX) - 1])
@pytest.mark.parametrize("end", ["…", "", "… is not allowed"])
def test_a_secret_of_the_environment_that_a_message_cut_short_goes_too(kept: int, end: str) -> None:
    redactor = Redactor({"A_KEY": HEX, "B_TOKEN": RANDOM})
    for secret in (HEX, RANDOM):
        assert redactor.text(f'{{"k":"{secret[:kept]}{end}') == f'{{"k":"[redacted:env]{end}'
    assert redactor.text(f"{HEX[:7]}… {HEX[:12]} stands in the middle").startswith(f"{HEX[:7]}… {HEX[:12]}")


def test_a_common_word_at_the_end_is_no_start_of_a_secret() -> None:
    redactor = Redactor({"A_KEY": "password-1234-xy", "B_KEY": "env]abcdefgh"})
    assert redactor.text("I forgot my password") == "I forgot my password"
    assert redactor.text("password-12…") == "[redacted:env]…"


@pytest.mark.parametrize(
    "kind", ["anthropic", "openai", "aws", "github", "gitlab", "google", "huggingface", "slack", "stripe", "npm", "jwt"]
)
def test_a_token_that_a_message_cut_short_goes_too(kind: str) -> None:
    cut = SECRETS[kind][:17]
    redacted = Redactor().text(f'is {{"k":"{cut}…')
    assert cut not in redacted
    assert redacted.endswith((f"[redacted:{kind}]…", "[redacted:token]…"))


def test_a_credential_in_quotes_that_were_cut_off_goes_too() -> None:
    assert Redactor().text('{"password":"hunter2secr…') == '{"password":"[redacted:credential]…'


@pytest.mark.parametrize("text", ["sk-learn-compatible…", "sk-your-key-here…", "hf_xxxxxxxx…", "npm_install…", "AKIA…"])
def test_words_that_were_cut_short_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "hunter2secret9x") for key in ("password", "db_passwd", "userPassword", "DBPassword", "passphrase")),
        *(
            (key, "hunter2secret9x")
            for key in ("api_key", "apikey", "X-API-Key", "myAPIKey", "access_key", "password2")
        ),
        *((key, "hunter2secret9x") for key in ("secret", "client_secret", "private-key", "accessToken", "auth.token")),
        ("password", "swordfish"),
        ("token", HEX),
        ("session_token", HEX),
        ("authorization", HEX),
        ("Authorization", "Basic dXNlcjpwYXNz"),
    ],
)
def test_a_text_under_the_name_of_a_credential_goes_as_a_whole(key: str, value: str) -> None:
    given = {"a": [{key: value, "n": 1}], key: [value]}
    clean = Redactor().value(given)
    assert clean == {"a": [{key: "[redacted:credential]", "n": 1}], key: ["[redacted:credential]"]}
    assert Redactor().value(clean) == clean


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            (key, "hunter2secret9x")
            for key in ("max_tokens", "input_tokens", "token_count", "key", "secretary", "keys")
        ),
        *(("password", value) for value in ("", "yes", "changeme", "your-password", "<password>", "${DB_PASSWORD}")),
        ("password", "The user chose 1 password here"),
        ("password", 12345),
        ("password", None),
        ("password", {"type": "string", "description": "what the user typed"}),
        ("client_secret", "client_secret"),
        ("token", "Berlin"),
        ("authorization", "approved"),
        ("authorization", "Bearer YOUR_API_TOKEN"),
        ("password=[redacted:credential", "hunter2secret9x"),
    ],
)
def test_what_only_stands_near_such_a_name_stays(key: str, value: Any) -> None:
    assert Redactor().value({key: value}) == {key: value}


def test_holding_a_secret_means_a_whole_one() -> None:
    redactor = Redactor({"A_KEY": "swordfish-and-more"}, mask=str.upper)
    assert redactor.holds_secret("x swordfish-and-more y")
    assert redactor.holds_secret(SECRETS["github"])
    assert not redactor.holds_secret("a swordfish")


def test_a_learned_secret_is_taken_out_from_then_on() -> None:
    redactor = Redactor({"A_KEY": "swordfish"})
    assert redactor.text("a trombones b") == "a trombones b"
    redactor.learn(" trombones\n")
    redactor.learn("trombones")
    assert redactor.value({"trombones": ["swordfish", "x trombones"]}) == {
        "[redacted:env]": ["[redacted:env]", "x [redacted:env]"]
    }
    assert redactor.holds_secret("trombones")
    assert redactor.text("it said trombone…") == "it said [redacted:env]…"


@pytest.mark.parametrize("value", ["password", "localhost", "changeme", "/etc/my-key-1", "~/secret-of-mine"])
def test_a_learned_secret_may_be_a_common_word_or_look_like_a_path(value: str) -> None:
    redactor = Redactor({"A_KEY": value})
    assert redactor.text(f"<{value}>") == f"<{value}>"
    redactor.learn(value)
    assert redactor.text(f"<{value}>") == "<[redacted:env]>"


@pytest.mark.parametrize("value", ["", "  ", "short12", "redacted", "[redacted:env]", "credential"])
def test_what_is_too_short_or_stands_in_a_marker_is_not_learned(value: str) -> None:
    redactor = Redactor()
    redactor.learn(value)
    assert redactor.text(f"<{value}>") == f"<{value}>"


def test_secrets_learned_at_the_same_time_are_all_learned() -> None:
    redactor = Redactor()
    values = [f"secret-{number:04d}-of-mine" for number in range(80)]
    threads = [
        threading.Thread(target=lambda part: [*map(redactor.learn, part)], args=(values[at::4],)) for at in range(4)
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert redactor.text(" ".join(values)) == " ".join(["[redacted:env]"] * 80)


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="[]"), min_size=8, max_size=60)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(KEYS, KEYS, st.lists(st.text(max_size=6) | st.sampled_from(["HERE", "…", "sk-", '"']), max_size=6))
def test_after_learning_no_form_of_it_survives_and_twice_is_once(first: str, second: str, pieces: list[str]) -> None:
    redactor = Redactor({"MY_TOKEN": first})
    redactor.learn(second)
    text = "".join(second if piece == "HERE" else piece for piece in ["HERE", *pieces, json.dumps(second), first])
    once = redactor.text(text)
    inside = any(second in f"[redacted:{kind}]" for kind in ("env", *SECRETS))
    assert inside or second not in once
    assert redactor.text(once) == once
    value = redactor.value({text: [{second: [text]}]})
    assert redactor.value(value) == value
    assert inside or second not in json.dumps(value, ensure_ascii=False)


PIECES = st.lists(
    st.sampled_from(
        [
            *SECRETS.values(),
            *(text for _, text, _ in IN_CONTEXT),
            *BENIGN,
            "sk-",
            "-",
            "_",
            '"',
            "'",
            "=",
            ": ",
            "@",
            "://",
            "…",
            "swordfis",
            "hunter2-and",
            "password",
            "token",
        ]
    )
    | st.text(max_size=8),
    max_size=8,
).map("".join)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(PIECES)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    redactor = Redactor({"A_KEY": "swordfish", "B_KEY": "hunter2-and-more"})
    once = redactor.text(text)
    assert redactor.text(once) == once
    assert redactor.value({text: [text]}) == redactor.value(redactor.value({text: [text]}))
    assert find_secrets(redactor.text(text)) == []


MEGABYTE = 1_000_000
HOSTILE = [
    "The customer was charged twice for order 12345, see LM-20394. ",
    "a",
    "1",
    "4111 ",
    "4111-",
    "sk-",
    "sk-a",
    "sk-ant-",
    "-eyJaaaaaaaaaaaa",
    "eyJaaaaaaaa.",
    "://a:",
    "://",
    "bearer ",
    "authorization: bearer ",
    "password=",
    'password="',
    'password: "\\\\',
    "password\\\\\\\\",
    "secret: aaaaa ",
    "token=abcdefghijklmnop",
    "api_key" + " " * 4,
    "-----BEGIN PRIVATE " + "KEY-----",
    "-----BEGIN PRIVATE " + "KEY-----AAAAAAAAAAAA",
    "-----BEGIN " + "A" * 40,
    "glpat-aaaaaaaaaaaaaaaaaaaa.",
    "AKIA",
    "AIza",
    "xoxb-",
    "DE12 ",
    "DE12 4111 1111 1111 1111 ",
    "[redacted:env]",
    "…",
    "swordfis",
    "swordfis…",
    "sk-aaaaaaaa…",
    'password="aaaa…',
    " " * 50 + "=",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_anything_takes_well_under_a_second(piece: str) -> None:
    text = piece * (MEGABYTE // len(piece))
    redactor = Redactor({"A_KEY": "swordfish", "B_TOKEN": "x/y\n\"'z-12345"})
    started = time.process_time()
    redactor.text(text)
    assert time.process_time() - started < 3  # measured below 0.7 s; the bound only has to tell linear from quadratic


@pytest.mark.parametrize("escape", ["\\n", "\\r\\n", "\\t", "\\u202e", "\\\\n"])
def test_a_key_behind_an_escape_of_json_in_a_text_is_found(escape: str) -> None:
    key = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q" * 2
    clean = Redactor({}).text(f'{{"note": "left here{escape}{key}"}}')
    assert key[8:] not in clean
    assert clean.startswith('{"note": "left here')
    json.loads(clean)


def test_escapes_alone_are_left_as_they_are() -> None:
    text = '{"note": "one\\ntwo\\u00e9 three\\tfour", "path": "C:\\\\new\\\\table"}'
    assert Redactor({}).text(text) == text
