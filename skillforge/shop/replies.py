"""What the shop writes to its customers: one sentence for each outcome, in their language. No model makes up a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_REFUND = {
    "en": {
        "refund": "We refund {amount:.2f} euros for order {order}. You will see it within five working days.",
        "review": "Thank you for your message. A colleague looks at it and writes to you within two working days.",
        "ask": "Which order is it about? Please send us its number; it looks like L-70311.",
        "already_refunded": "Order {order} was refunded already.",
        "never_charged": "Order {order} was cancelled and never charged.",
        "not_delivered_yet": "Order {order} is on its way. Once it is there you can return it within 30 days.",
        "window_over": "Order {order} came more than 30 days ago, so we cannot take it back.",
        "final_sale": "The articles of order {order} are final sale, so we cannot take them back.",
        "on_its_way": "Order {order} is on its way and not overdue yet. Please give it a few more days.",
    },
    "de": {
        "refund": "Wir erstatten {amount:.2f} Euro für Bestellung {order}. Das Geld ist in fünf Werktagen bei Ihnen.",
        "review": "Danke für Ihre Nachricht. Jemand von uns sieht sie an und schreibt Ihnen in zwei Werktagen.",
        "ask": "Um welche Bestellung geht es? Bitte schicken Sie uns die Nummer; sie sieht aus wie L-70311.",
        "already_refunded": "Bestellung {order} ist schon erstattet.",
        "never_charged": "Bestellung {order} wurde storniert und nie berechnet.",
        "not_delivered_yet": "Bestellung {order} ist unterwegs. Ab Zustellung können Sie sie 30 Tage zurückgeben.",
        "window_over": "Bestellung {order} kam vor mehr als 30 Tagen an, wir können sie nicht zurücknehmen.",
        "final_sale": "Die Artikel der Bestellung {order} sind vom Umtausch ausgeschlossen.",
        "on_its_way": "Bestellung {order} ist unterwegs und noch nicht überfällig. Bitte noch ein paar Tage Geduld.",
    },
}

_STATE = {
    "en": {
        "processing": "Order {order} is being packed.",
        "in_transit": "Order {order} is on its way with {carrier}, tracking {tracking}, expected on {expected}.",
        "late": "Order {order} is late. We asked {carrier} to trace parcel {tracking}.",
        "lost": "Parcel {tracking} of order {order} seems lost. We asked {carrier} to trace it.",
        "delivered": "Order {order} was delivered on {delivered} by {carrier}, tracking {tracking}.",
        "cancelled": "Order {order} is cancelled.",
    },
    "de": {
        "processing": "Bestellung {order} wird gerade gepackt.",
        "in_transit": "Bestellung {order} ist unterwegs mit {carrier}, Sendung {tracking}, erwartet am {expected}.",
        "late": "Bestellung {order} ist verspätet. Wir haben {carrier} nach Sendung {tracking} suchen lassen.",
        "lost": "Sendung {tracking} der Bestellung {order} ist wohl verloren. {carrier} sucht danach.",
        "delivered": "Bestellung {order} wurde am {delivered} von {carrier} zugestellt, Sendung {tracking}.",
        "cancelled": "Bestellung {order} ist storniert.",
    },
}

_ACTION = {
    "en": {
        "invoice_sent": "A copy of the invoice is on its way to you.",
        "too_late": "It cannot be cancelled any more.",
    },
    "de": {
        "invoice_sent": "Eine Kopie der Rechnung ist unterwegs zu Ihnen.",
        "too_late": "Sie lässt sich nicht mehr stornieren.",
    },
}

_GREETING = {"en": "Hello{name},", "de": "Guten Tag{name},"}
_CLOSING = {"en": "Your Lumora team", "de": "Ihr Lumora-Team"}


def refund_reply(customer: Mapping[str, Any], decision: str, rule: str, order: str, amount: float) -> str:
    """The mail that tells a customer what became of the wish for a refund."""
    sentences = _REFUND[customer["language"]]
    wanted = sentences.get(rule if decision == "decline" else decision, sentences["review"])
    return _letter(customer, [wanted.format(order=order, amount=amount)])


def status_reply(customer: Mapping[str, Any], action: str, shipments: Sequence[Mapping[str, Any]]) -> str:
    """The mail that tells a customer how orders stand, and what was done."""
    language = customer["language"]
    if action in ("ask", "handed_over"):
        return _letter(customer, [_REFUND[language]["ask" if action == "ask" else "review"]])
    told = [
        _STATE[language][shipment["state"]].format(
            order=shipment["order_id"],
            carrier=shipment["carrier"],
            tracking=shipment["tracking"],
            expected=shipment["expected_on"],
            delivered=shipment["delivered_on"],
        )
        for shipment in shipments
    ]
    return _letter(
        customer, [_ACTION[language][action]] if action == "invoice_sent" else told + _done(language, action)
    )


def _done(language: str, action: str) -> list[str]:
    return [_ACTION[language][action]] if action in _ACTION[language] else []


def _letter(customer: Mapping[str, Any], sentences: Sequence[str]) -> str:
    language, name = customer["language"], customer["name"]
    greeting = _GREETING[language].format(name=f" {name}" if name else "")
    return f"{greeting} {' '.join(sentences)} {_CLOSING[language]}"
