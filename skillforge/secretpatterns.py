"""What secrets look like: our own patterns, each linear in the text.

Linear because a match attempt either reads a bounded stretch or consumes what it read: no pattern starts again inside a
run that an earlier start has read to its end. The secret itself is the group that a match closed last, or all of it (a
header's name or a quote around it stays).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MARKER = "[redacted:"
CUT = "…"  # what a shortened message ends with
_TOKEN_LENGTH = 16
_MIN_AUTHORIZATION = 8
_KEY_LENGTH = 200  # a longer key is a text, not a name

_PLACEHOLDER = re.compile(
    r"(?i)(?:your|my|the|some|example|sample|dummy|test|fake|optional|required|missing|invalid|string|str|text|none|null"
    r"|true|false|undefined|redacted|hidden|secret|password|passwort|passwd|pass|token|key|user|changeme|value|x+|\*+|\.+|…)"
    r"(?:[-_ ](?:api|access|secret|auth|password|token|key|here|value|goes)){0,4}"
    r"|(?:your|my)[-_][a-z_-]+|[a-z_-]{0,12}(?:\.{3}|…)"
)
_TEMPLATE = re.compile(r"<|\{|\$[{(]|\$[A-Z_][A-Z0-9_]*$|%\(|%[A-Z_]+%$")
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_CREDENTIAL_KEY = re.compile(
    r"(?:^|_)(?:pass(?:words?|wd|phrase|wort)|pwd|secret|(?:api|access|private|secret|auth)_?key"
    r"|(?:auth|access|refresh|api|bearer)_?token)$"
)
_VAGUE_KEY = re.compile(r"(?:^|(?<!auth)(?<!access)(?<!refresh)(?<!api)(?<!bearer)_)(token|authorization)$")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|digest) {1,4}")
_IBAN_HEAD = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){0,5} ?$")
# Issuer ranges (ISO/IEC 7812): Visa, Mastercard, Amex, Diners, Discover, JCB.
_ISSUER = re.compile(
    r"4(?:\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}"
)


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One kind. ``hints`` are small-letter texts of which one stands in every match, so most texts are never searched;
    ``accept`` has the last word on a match."""

    kind: str
    regex: re.Pattern[str]
    hints: tuple[str, ...]
    accept: Callable[[re.Match[str]], bool] = lambda match: True

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self.regex.finditer(text):
            if self.accept(match):
                yield match.span(match.lastindex or 0)


def luhn_valid(digits: str) -> bool:
    """The check digit rule of card numbers (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _is_card(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[0])
    before = match.string[max(0, match.start() - 34) : match.start()]
    return bool(_ISSUER.fullmatch(digits)) and luhn_valid(digits) and not _IBAN_HEAD.search(before)


def _is_random(match: re.Match[str]) -> bool:
    """Some stretch between separators is long, or middling and holds a digit: not ``sk-folding-cube-container``."""
    parts = re.split(r"[-_.~+/=]", match[match.lastindex or 0])
    return any(len(part) >= 20 or (len(part) >= 12 and any(map(str.isdigit, part))) for part in parts)


def _is_written_out(match: re.Match[str]) -> bool:
    return not _stands_for_another(match[match.lastindex or 0])


def _is_login(match: re.Match[str]) -> bool:
    return MARKER not in match[1] and not _stands_for_another(match[1].partition(":")[2])


def _is_value(match: re.Match[str]) -> bool:
    """What is assigned reads like a secret, not like a placeholder, a template, code, a sentence or a word of one."""
    secret, sign, bare = match[match.lastindex or 0], match[2], match.lastindex == _BARE_GROUP
    code = bare and match.string[match.end() : match.end() + 1] in ("(", "[")
    if MARKER in secret or " " in secret or code or _stands_for_another(secret):
        return False
    mixed = _is_mixed(secret)
    if match[1].casefold() == "token":
        return mixed and len(secret) >= _TOKEN_LENGTH
    return mixed or sign == "=" or not bare


def _is_cut(match: re.Match[str]) -> bool:
    """The token ends where a message was shortened, and is more than small words: not ``sk-learn-compatible…``."""
    body = match[1].removeprefix(match[2])
    words = all(char.islower() or char == "-" for char in body)
    return match.string[match.end() : match.end() + 1] == CUT and not words and not _stands_for_another(body)


def is_credential(key: str, value: str) -> bool:
    """Whether ``value`` stands under a key that names a credential (``db_password``, ``apiKey``) and reads like one.

    The rules are those of the ``credential`` pattern: no placeholder, no sentence, nothing shorter than 4 characters;
    under a ``token`` or ``authorization``, which are ordinary words too, only what is long and mixed.
    """
    if MARKER in key or MARKER in value or len(key) > _KEY_LENGTH or value.casefold() == key.casefold():
        return False
    name = _WORD_BREAK.sub("_", key).casefold().rstrip("_0123456789")
    if vague := _VAGUE_KEY.search(name):
        scheme = _SCHEME.match(value) if vague[1] == "authorization" else None
        secret = value[scheme.end() :] if scheme else value
        long = len(secret) >= _MIN_AUTHORIZATION if scheme else len(secret) >= _TOKEN_LENGTH and _is_mixed(secret)
        return long and " " not in secret and not _stands_for_another(secret)
    readable = len(value) < 4 or " " in value or _stands_for_another(value)
    return not readable and _CREDENTIAL_KEY.search(name) is not None


def _is_mixed(secret: str) -> bool:
    return any(char.isdigit() or char in "!#%&*+=?@^|~$" for char in secret.rstrip(".,:;!?"))


def _stands_for_another(secret: str) -> bool:
    return bool(_PLACEHOLDER.fullmatch(secret) or _TEMPLATE.match(secret))


_ASSIGNMENT = re.compile(
    r"(pass(?:word|wd|phrase|wort)|\bpwd|secret(?:[_-]?access)?(?:[_-]?key)?|(?:api|access|private|auth)[_-]?key"
    r"|(?:auth|access|refresh|api|bearer)[_-]?token|\btoken)"
    r"(?:\\{0,4}[\"'])?(\s{0,4}[:=]\s{0,4})"
    r"(?:\"((?:[^\"\\\n]|\\.){4,400})(?:\"|(?=…))|'((?:[^'\\\n]|\\.){4,400})(?:'|(?=…))|\\{1,4}[\"']([^\"'\\\s]{4,400})"
    r"|([^\s\"'\\,;&<>(){}\[\]]{6,}))",
    re.IGNORECASE,
)
_BARE_GROUP = 6

_CARD = re.compile(
    r"(?<![\w.-])([0-9]{14,19}|[0-9]{4}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{4}(?:\2[0-9]{3})?"
    r"|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})"
    r"(?![\w-]|\.[0-9])"
)

SECRET_PATTERNS: tuple[SecretPattern, ...] = (
    SecretPattern(
        "private-key",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?=(?:\\[rn]|\s){0,9}[A-Za-z0-9+/=:-]{10})"
            r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
        ("private key",),
    ),
    SecretPattern("anthropic", re.compile(r"\bsk-ant-[A-Za-z0-9_-]{16,}"), ("sk-ant-",)),
    SecretPattern("openai", re.compile(r"\bsk-(?!ant-)[A-Za-z0-9_-]{20,}"), ("sk-",), _is_random),
    SecretPattern("aws", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"), ("akia", "asia", "abia", "acca")),
    SecretPattern(
        "github",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    SecretPattern("gitlab", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+){0,3}"), ("glpat-",)),
    SecretPattern("google", re.compile(r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"), ("aiza",)),
    SecretPattern("huggingface", re.compile(r"\bhf_[A-Za-z0-9]{30,}"), ("hf_",)),
    SecretPattern("slack", re.compile(r"\b(?:xox[abeoprs]|xapp-[0-9])-[A-Za-z0-9-]{10,}"), ("xox", "xapp-")),
    SecretPattern(
        "stripe",
        re.compile(r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("sk_live_", "rk_live_", "sk_test_", "rk_test_"),
    ),
    SecretPattern("npm", re.compile(r"\bnpm_[A-Za-z0-9]{36,}"), ("npm_",)),
    SecretPattern(
        "jwt",
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        ("eyj",),
    ),
    SecretPattern(  # any of the above that a message cut short; what is read is consumed, so the end is looked at after
        "token",
        re.compile(
            r"\b((sk-(?:ant-)?|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|glpat-|AIza|hf_|xox[abeoprs]-|xapp-[0-9]-"
            r"|[rs]k_(?:live|test)_|npm_|eyJ)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3})"
        ),
        (CUT,),
        _is_cut,
    ),
    SecretPattern(
        "authorization",
        re.compile(
            r"\bauthorization(?:\\{0,4}[\"'])?\s{0,4}[:=]\s{0,4}(?:\\{0,4}[\"'])?(?:bearer|basic|token|digest)\s{1,4}"
            r"([A-Za-z0-9._~+/=:-]{8,})",
            re.IGNORECASE,
        ),
        ("authorization",),
        _is_written_out,
    ),
    SecretPattern(
        "authorization",
        re.compile(r"\bbearer\s{1,4}([A-Za-z0-9._~+/=-]{16,})", re.IGNORECASE),
        ("bearer",),
        _is_random,
    ),
    SecretPattern(
        "url-login", re.compile(r"(?<=://)([^\s/:@\"'\\]{0,256}:[^\s/@\"'\\]{1,256})(?=@)"), ("://",), _is_login
    ),
    SecretPattern("credential", _ASSIGNMENT, ("pass", "pwd", "secret", "key", "token"), _is_value),
    SecretPattern("card", _CARD, (), _is_card),
)
