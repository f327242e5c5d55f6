"""What orders to a model or a shell look like: our own patterns. Every one reads bounded stretches, and what counts as
a word never counts as a gap between words, so that there is one way to read a stretch: a scan is linear in the text.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["hidden", "override", "role", "persona", "command", "exfiltration", "encoded", "secret", "url"]

_GAP = r"[\s\W_]{1,8}"  # between words: spaces, punctuation, markup
_WORD = r"[^\W_]{1,24}"
_NEAR = rf"(?:{_GAP}{_WORD}){{0,4}}{_GAP}"  # up to four words between
_FAR = rf"(?:{_GAP}{_WORD}){{0,9}}{_GAP}"
_DROP = (
    r"(?:ignor\w{0,6}|disregard\w{0,4}|forget|override|bypass|skip|overrule|do not follow|don['’]t follow"
    r"|stop following|discard|pay no attention to)"
)
_RULES = (
    r"(?:instructions?|rules?|prompts?|guidelines?|polic(?:y|ies)|directions?|orders?|context|system message"
    r"|safeguards?|"
    r"restrictions?|constraints?|checks?|guardrails?)"
)
_EARLIER = r"(?:all|any|previous|prior|earlier|above|preceding|former|your|the|these|those|existing|original|system)"
_BETWEEN = r"\W{1,4}(?:\w{1,24}\W{1,3}){0,5}"  # words of other languages
# To drop the rules in other languages, (drop, the rules): German, French, Spanish with Portuguese and Italian, Dutch,
# Polish, Russian and Ukrainian.
_FOREIGN_PAIRS = (
    (
        r"(?:ignorier\w{0,4}|vergiss|vergesst|vergessen sie|missachte\w{0,3})",
        r"(?:(?:an)?weisung\w{0,3}|regeln?|vorgaben?|befehle?|richtlinien?|anordnung\w{0,3})",
    ),
    (
        r"(?:(?<!n['’])(?:ignore[zr]?|oublie[zsr]?)|n(?:e |['’])(?:tiens|tenez|sui[st]|suivez"
        r"|respecte[zr]?|prends|prenez) (?:plus|pas|aucun))",
        r"(?:instructions?|r[eè]gles?|consignes?|directives?|ordres?|indications?)",
    ),
    (
        r"(?<!no )\b(?:ignor[ae]\w{0,3}|olvid[ae]\w{0,3}|omit[ae]\w{0,3}|esque[cç]\w{1,4}|desconsider\w{1,4}"
        r"|dimentic\w{1,5}|descart[ae]\w{0,3})",
        r"(?:instrucci[oó]n\w{0,2}|reglas?|indicaciones|[oó]rdenes|directrices|istruzion\w|regol\w|instru[cç][oõ]es"
        r"|regras?|ordens|ordini)",
    ),
    (r"(?:negeer|vergeet)", r"(?:instructies?|regels?|aanwijzingen?|opdrachten?|richtlijnen?)"),
    (r"(?:zignoruj|zapomnij|ignoruj|pomi[nń])", r"(?:instrukcj\w{1,3}|polece[nń]\w{0,3}|zasad\w{0,3}|regu[lł]\w{0,3})"),
    (
        r"(?:игнорир\w{1,6}|проигнорир\w{1,6}|забуд\w{1,4}|не обращай\w{0,3}|отбрось\w{0,3}|ігноруй\w{0,3})",
        r"(?:инструкц\w{1,3}|указани\w{1,3}|правил\w{0,3}|приказ\w{0,3}|команд\w{0,3}|інструкц\w{1,3})",
    ),
)
_FOREIGN = (
    *(rf"\b{drop}{_BETWEEN}{rules}\b" for drop, rules in _FOREIGN_PAIRS),
    r"\b(?:vergiss|vergesst|vergessen sie|ignorier\w{0,4})\W{1,4}(?:alles|das alles|was)\b",
    r"(?<!n['’])\boublie[zsr]?\W{1,4}tout\b|\bolvid[ae]\w{0,3}\W{1,4}todo\b|\bdimentica\w{0,2}\W{1,4}tutto\b|\bзабудь\w{0,2}"
    r"\W{1,4}вс[её]\b",
    r"(?:talimat|kural|komut)\w{0,8}\W{1,3}(?:\w{1,20}\W{1,3}){0,2}(?:yok say|unut|dikkate alma|görmezden)",
    r"(?:忽略|无视|無視|忘记|忘掉|不要理会|不用遵守|忽視)\W{0,3}.{0,12}(?:指令|指示|规则|規則|提示|说明|要求|命令)",
    r"(?:以前|上記|これまで|前の|すべて).{0,10}(?:指示|命令|ルール|規則).{0,6}(?:無視|忘れ)",
    r"(?:이전|위의|앞의|모든).{0,10}(?:지시|명령|규칙).{0,8}(?:무시|잊)",
    r"(?:تجاهل|انس).{0,24}(?:التعليمات|الأوامر|القواعد)",
)
_OVERRIDES = (
    rf"\b{_DROP}{_GAP}(?:{_EARLIER}{_GAP}){{1,4}}(?:{_WORD}{_GAP}){{0,2}}{_RULES}\b",
    rf"\b(?:new|updated|revised|real|actual|true|secret|hidden){_GAP}(?:system{_GAP})?(?:instructions?|orders?"
    rf"|directives?|task|prompt)\b\s{{0,3}}(?::|is\b|are\b)",
    rf"\bfrom now on{_NEAR}(?:you|always|never|all)\b",
    rf"\b(?:the|this|every|any)?{_GAP}?(?:assistant|agent|model|llm|ai|chatbot|copilot)\b{_NEAR}?(?:must|shall"
    rf"|should|has to|is required to|needs to|will now|is instructed to)\b",
    rf"\b(?:important|urgent|critical|attention|warning|note|notice|message|instructions?){_GAP}(?:(?:to"
    rf"|for){_GAP})(?:(?:the|all|any|every){_GAP})?(?:ai|assistant|agent|model|llm|agents|models|assistants)\b",
    r"\bdo not (?:tell|inform|reveal|mention|show|notify|warn)\b[\s\W_]{1,4}(?:(?:this|it|that"
    r"|anything)\W{1,3})?(?:to\W)?(?:the )?(?:user|customer|operator|human|developer|anyone)",
    rf"\bwithout (?:asking|telling|informing|confirming|notifying|checking|approval){_GAP}?",
    rf"\b(?:add|append|include|insert|write|put|save|copy|remember|store){_NEAR}(?:your|the|every|each"
    rf"|all){_GAP}(?:{_WORD}{_GAP}){{0,2}}(?:skills?|instructions?|memory|system prompt|system message"
    rf"|prompt template|replies|responses|answers)\b",
    rf"\b(?:forget|ignore|disregard){_GAP}(?:everything|anything|all|whatever|what){_GAP}(?:(?:that|of|the)"
    rf"{_GAP}){{0,2}}(?:you|was|is|above|before|said|told|written|came)\b",
    # who is spoken to is a program
    rf"\bif you(?:{_GAP}are|['’]re){_GAP}(?:an?|the|some){_GAP}(?:{_WORD}{_GAP}){{0,2}}(?:ai|llm|agent|assistant|model"
    rf"|bot|chatbot|crawler|program|helper|machine)\b",
    rf"\b(?:ais?|llms?|language model|bots?|chatbot|agents?|assistants?|models?){_GAP}(?:{_WORD}{_GAP}){{0,2}}"
    rf"(?:reading|parsing|processing|summari[sz]ing|seeing|viewing|ingesting|indexing){_GAP}(?:this|these|the)\b",
    r"(?:^|[\n#*>/(\[-])[ \t]{0,4}(?:ai|llm)s?(?:[ -](?:agents?|assistants?|models?|only|note))?[ \t]{0,2}:",
    rf"\b(?:who|which|what|any)ever{_GAP}(?:{_WORD}{_GAP}){{0,2}}(?:writes?|reads?|compiles?|makes?|distils?|learns?)"
    rf"{_FAR}(?:should|must|shall|has to|needs? to|please|always|never)\b",
    # what is to be kept
    rf"\b(?:add|append|insert|include|write|note|keep|learn){_GAP}(?:{_WORD}{_GAP}){{0,4}}(?:rule|instruction|exception"
    rf"|directive|sentence){_GAP}?(?:that\b|saying\b|:)",
    rf"\b(?:save|store|commit|write|add|keep|remember|record|put){_NEAR}(?:your|long{_GAP}term|persistent|permanent"
    rf"|agent){_GAP}(?:{_WORD}{_GAP}){{0,2}}(?:memory|memories|notes|knowledge)\b",
    # what is always to be granted
    rf"\b(?:approve|grant|refund|accept|waive|authori[sz]e|pay){_GAP}(?:all|any|every|each|everything){_GAP}"
    rf"(?:{_WORD}{_GAP}){{0,6}}(?:without|regardless|no matter|whatever|automatically|immediately|at once|anyway)\b",
    # a tool is to be called
    rf"(?:(?:^|[.:;!?,>)\n])\s{{0,4}}|\b(?:please|now|then|also|first|must|always|immediately){_GAP}"
    rf"|\b(?:agent|assistant|model|you)['’s]{{0,2}}{_GAP}(?:{_WORD}{_GAP}){{0,2}})"
    rf"(?:call|invoke|execute|trigger|use|run){_GAP}(?:(?:the|tool|function|your){_GAP}){{0,2}}"
    rf"[a-z][a-z0-9]{{0,24}}_[a-z0-9_]{{1,40}}\b",
    *_FOREIGN,
)
_ROLES = (
    r"<\|[a-z_]{2,24}\|>",
    r"\[/?INST\]|<</?SYS>>",
    r"</?(?:system|assistant|tool_result|tool_use|function_results?|function_calls?|instructions?"
    r"|system-reminder|admin)>",
    r"(?:^|\n)\s{0,8}(?:#{1,4}\s{0,4}|\*\*|\[)?(?:system|assistant|developer|admin|human)(?:\*\*|\])?(?: "
    r"(?:message|prompt|note|override|update))?\s{0,3}:",
    r"\bBEGIN (?:SYSTEM|ADMIN|NEW) (?:PROMPT|MESSAGE|INSTRUCTIONS?)\b",
    r"\bEND (?:OF )?(?:DATA|TOOL RESULTS?|SOLVED INPUTS|TRACES?|INPUT|DOCUMENT)\b",
)
_PERSONAS = (
    r"\byou are (?:now|no longer)\b",
    r"\b(?:act|behave|respond|answer|operate) as (?:if you (?:are|were)|an? (?:unrestricted|different|new"
    r"|evil|admin\w{0,10}|root))\b",
    r"\b(?:developer|debug|god|admin(?:istrator)?|maintenance|jailbreak|dan|sudo|root) mode\b",
    r"\bpretend (?:to be|that you|you are)\b",
    r"\b(?:i am|this is) (?:your|the) (?:developer|administrator|system administrator|creator|owner|operator)\b",
)
_COMMANDS = (
    r"\b(?:curl|wget)\s{1,4}[^\n]{0,200}\|\s{0,4}(?:sudo\s{1,4})?(?:ba|z|da)?sh\b",
    r"\b(?:curl|wget|nc|ncat|scp|rsync)\s{1,4}(?:-\S{1,20}\s{1,4}){0,6}\S{0,40}(?:https?://|@|\$\()",
    r"\brm\s{1,4}-[a-z]{0,6}[rf][a-z]{0,6}\s",
    r"\b(?:sudo|chmod|chown|mkfifo|crontab|systemctl|launchctl)\s{1,4}[-+/\w]",
    r"\bpowershell(?:\.exe)?\s{1,4}-|\bInvoke-(?:WebRequest|Expression)\b|\bIEX\s{0,3}\(",
    r"\b(?:bash|sh|python3?|perl|ruby|node)\s{1,4}-[ce]\s",
    r"\beval\s{0,3}\(|\bos\.system\s{0,3}\(|\bsubprocess\.\w{2,12}\s{0,3}\(|\b__import__\s{0,3}\(",
    r"(?:^|[\s;])!`[^`\n]{1,200}`|\$\([^)\n]{1,200}\)",
    r"\b(?:base64\s{1,4}(?:-d|--decode))\b|/dev/tcp/",
    r"\b(?:DROP|TRUNCATE)\s{1,4}TABLE\b|\bDELETE\s{1,4}FROM\s{1,4}\w{1,40}\s{0,4}(?:;|$)",
    r"\bpip3? install\s{1,4}(?:-\S{1,20}\s{1,4}){0,4}(?:git\+|https?:)",
)
_EXFILTRATIONS = (
    rf"\b(?:send|forward|post|upload|transmit|leak|email|e-mail|exfiltrate|report|submit|bcc|cc){_FAR}(?:to"
    rf"|into|at|via){_GAP}(?:{_WORD}{_GAP}){{0,3}}(?:https?://|[\w.+-]{{1,64}}@[\w-]{{1,64}}\.)",
    rf"(?<!never )(?<!not )(?<!n['’]t )\b(?:reveal|print|output|repeat|show|disclose|leak|send|expose|return|list"
    rf"|dump){_NEAR}(?:system prompt"
    rf"|api keys?|passwords?|credentials?|secrets?|access tokens?|environment variables?|private keys?|\.env\b)",
    r"!\[[^\]\n]{0,80}\]\(\s{0,4}https?://[^)\n]{0,200}(?:\?|\{|=)",
    r"\b(?:read|open|cat|print)\s{1,4}(?:the\s{1,4})?(?:file\s{1,4})?[~./\w-]{0,60}(?:\.env|id_rsa|\.ssh"
    r"|\.aws|/etc/passwd|credentials)\b",
)
_URLS = (r"\b(?:https?|ftp|file|data|javascript|vbscript):(?://|[a-z]{1,20}/[a-z0-9.+-]{1,40}[;,])[^\s\"'<>]{1,300}",)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


ORDER_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "override": _any(_OVERRIDES),
    "role": _any(_ROLES),
    "persona": _any(_PERSONAS),
    "command": _any(_COMMANDS),
    "exfiltration": _any(_EXFILTRATIONS),
    "url": _any(_URLS),
}
