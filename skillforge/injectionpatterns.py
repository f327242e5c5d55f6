"""What orders to a model or a shell look like: our own patterns. Every one reads bounded stretches, so that a scan is
linear in the text.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["hidden", "override", "role", "persona", "command", "exfiltration", "encoded", "secret", "url"]

_GAP = r"[\s\W_]{1,8}"  # between words: spaces, punctuation, markup
_NEAR = r"(?:[\s\W_]{1,8}\w{1,24}){0,4}[\s\W_]{1,8}"  # up to four words between
_FAR = r"(?:[\s\W_]{1,8}\w{1,24}){0,9}[\s\W_]{1,8}"
_DROP = r"(?:ignor\w{0,6}|disregard\w{0,4}|forget|override|bypass|skip|overrule|do not follow|stop following|discard)"
_RULES = (
    r"(?:instructions?|rules?|prompts?|guidelines?|polic(?:y|ies)|directions?|orders?|context|system message"
    r"|safeguards?|"
    r"restrictions?|constraints?|checks?|guardrails?)"
)
_EARLIER = r"(?:all|any|previous|prior|earlier|above|preceding|former|your|the|these|those|existing|original|system)"
_OVERRIDES = (
    rf"\b{_DROP}{_GAP}(?:{_EARLIER}{_GAP}){{1,4}}(?:\w{{1,20}}{_GAP}){{0,2}}{_RULES}\b",
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
    rf"|all){_GAP}(?:\w{{1,20}}{_GAP}){{0,2}}(?:skills?|instructions?|memory|system prompt|system message"
    rf"|prompt template|replies|responses|answers)\b",
    # the same in other languages
    r"\b(?:ignorier\w{0,4}|vergiss|missachte\w{0,3})\W{1,4}(?:\w{1,20}\W{1,3}){0,4}(?:anweisung\w{0,3}"
    r"|regeln?|vorgaben?|befehle?)",
    r"\b(?:ignore[zr]?|oublie[zr]?)\W{1,4}(?:\w{1,20}\W{1,3}){0,4}(?:instructions|r[eè]gles|consignes)",
    r"\b(?:ignora|olvida|omite)\w{0,3}\W{1,4}(?:\w{1,20}\W{1,3}){0,4}(?:instrucciones|reglas|indicaciones"
    r"|istruzioni|regole)",
    r"忽略\W{0,3}.{0,12}(?:指令|指示|规则|提示)",
    r"(?:以前|上記|これまで).{0,10}(?:指示|命令|ルール).{0,6}(?:無視|忘れ)",
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
    rf"|into|at|via){_GAP}(?:\w{{1,20}}{_GAP}){{0,3}}(?:https?://|[\w.+-]{{1,64}}@[\w-]{{1,64}}\.)",
    rf"\b(?:reveal|print|output|repeat|show|disclose|leak|send|expose|return|list|dump){_NEAR}(?:system prompt"
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
