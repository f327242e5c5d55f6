"""What a new shop holds: Lumora, an invented shop for smart-home devices. Nobody in it is real."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

TODAY = date(2026, 11, 20)
SHIPPING_CENTS = 490

POLICIES = (
    (
        "return_window_days",
        30,
        "Change of mind: 30 days from delivery, price of the goods without shipping. Not for final-sale articles (gift "
        "cards, opened-box offers). What was not shipped yet is refunded in full.",
    ),
    (
        "fault_window_days",
        90,
        "Damaged, faulty or wrong article: 90 days from delivery, everything with shipping. Later a person looks at it "
        "(warranty).",
    ),
    (
        "late_after_days",
        7,
        "Not arrived: everything with shipping, once the carrier calls the parcel lost or it is more than 7 days late. "
        "Where the carrier says it was delivered a person looks at it. Until then we ask for patience.",
    ),
    ("review_above_cents", 50_000, "A refund above 500 euros needs a person."),
    ("recent_days", 120, "Who names no order means the only one of the last 120 days; with none or several we ask."),
    ("invoice_limit_cents", 500_000, "An invoice above 5,000 euros needs a person before it is posted."),
)

CUSTOMERS = (
    ("C-01", "Anna Berger", "anna.berger@example.org", "de"),
    ("C-02", "Tom Whitfield", "tom.whitfield@example.com", "en"),
    ("C-03", "Priya Nair", "priya.nair@example.com", "en"),
    ("C-04", "Jonas Keller", "jonas.keller@example.org", "de"),
    ("C-05", "Maria Lopes", "maria.lopes@example.net", "en"),
    ("C-06", "Ola Nordmann", "ola.nordmann@example.net", "en"),
    ("C-07", "Chloe Martin", "chloe.martin@example.com", "en"),
    ("C-08", "Ben Achterberg", "ben.achterberg@example.com", "en"),
    ("C-09", "Katrin Vogel", "katrin.vogel@example.org", "de"),
    ("C-10", "Sam Okafor", "sam.okafor@example.com", "en"),
    ("C-11", "Lena Hartmann", "lena.hartmann@example.org", "de"),
    ("C-12", "Ruth Cohen", "ruth.cohen@example.com", "en"),
)

PRODUCTS = (
    ("LAMP-01", "Sunrise lamp", 5990, 0),
    ("PLUG-04", "Smart plugs, pack of 4", 4400, 0),
    ("CAM-02", "Door camera", 12900, 0),
    ("HUB-01", "Home hub", 8900, 0),
    ("THERM-03", "Radiator thermostat", 6450, 0),
    ("LOCK-01", "Smart door lock", 21900, 0),
    ("STRIP-05", "Light strip 5 m", 3490, 0),
    ("SENS-02", "Water sensor", 2490, 0),
    ("GIFT-50", "Gift card 50 EUR", 5000, 1),
    ("BULB-OB", "Bulb, opened-box offer", 990, 1),
    ("SET-XL", "Whole home set", 64900, 0),
)

# (order, customer, days since it was ordered, status, articles, refunded in cents). Of a status such as "delivered 6"
# the figure is how many days ago; "late 10" is a parcel on its way that should have come 10 days ago.
ORDERS = (
    ("L-70311", "C-01", 12, "delivered 6", "LAMP-01", 0),
    ("L-70318", "C-01", 75, "delivered 70", "PLUG-04 2", 0),
    ("L-70325", "C-02", 20, "delivered 15", "CAM-02", 0),
    ("L-70332", "C-02", 9, "in_transit -2", "STRIP-05 2", 0),
    ("L-70340", "C-03", 50, "delivered 44", "HUB-01, SENS-02 2", 0),
    ("L-70347", "C-03", 25, "late 12", "THERM-03 3", 0),
    ("L-70353", "C-03", 3, "processing", "LOCK-01", 0),
    ("L-70360", "C-04", 18, "delivered 11", "THERM-03 4", 0),
    ("L-70366", "C-04", 30, "lost 15", "CAM-02", 0),
    ("L-70371", "C-05", 33, "delivered 28", "GIFT-50 2", 0),
    ("L-70379", "C-05", 14, "delivered 8", "BULB-OB 4, LAMP-01", 0),
    ("L-70384", "C-06", 16, "delivered 10", "SET-XL", 0),
    ("L-70390", "C-06", 110, "delivered 104", "HUB-01", 0),
    ("L-70396", "C-07", 40, "delivered 35", "STRIP-05 3", 0),
    ("L-70402", "C-07", 21, "delivered 16", "LOCK-01", 22390),
    ("L-70409", "C-08", 10, "delivered 5", "CAM-02 2", 0),
    ("L-70415", "C-09", 8, "in_transit 2", "LAMP-01, PLUG-04", 0),
    ("L-70421", "C-09", 60, "delivered 55", "THERM-03 2", 0),
    ("L-70428", "C-10", 2, "processing", "HUB-01, PLUG-04", 0),
    ("L-70434", "C-10", 26, "delivered 20", "SENS-02 3", 0),
    ("L-70441", "C-11", 13, "delivered 7", "STRIP-05, BULB-OB 2", 0),
    ("L-70447", "C-11", 35, "late 20", "LOCK-01", 0),
    ("L-70452", "C-12", 19, "delivered 12", "LAMP-01 2", 0),
    ("L-70458", "C-12", 5, "cancelled", "HUB-01", 0),
    ("L-70463", "C-06", 4, "in_transit -3", "SENS-02", 0),
    ("L-70469", "C-08", 100, "delivered 95", "PLUG-04", 0),
)

ACCOUNTS = (
    ("1400", "input_vat", "Input VAT"),
    ("1600", "payables", "Trade payables"),
    ("4730", "freight", "Freight and parcels"),
    ("4920", "software", "Software and hosting"),
    ("4930", "office", "Office supplies"),
    ("4600", "advertising", "Advertising"),
    ("4660", "travel", "Travel"),
    ("4950", "advice", "Legal and other advice"),
    ("4240", "energy", "Energy and water"),
    ("3400", "goods", "Goods for resale"),
)

# An account where everything from a supplier belongs to it; the others sell several things.
SUPPLIERS = (
    ("S-01", "Papier & Co. GmbH", "DE811203344", "DE02120300000000202051", "4930"),
    ("S-02", "Nordcloud Systems AB", "SE556703148501", "SE4550000000058398257466", None),
    ("S-03", "Schnellfracht Logistik GmbH", "DE266441907", "DE02500105170137075030", "4730"),
    ("S-04", "Brightside Media Ltd", "GB314159265", "GB29NWBK60161331926819", None),
    ("S-05", "Stadtwerke Hafenburg", "DE119822001", "DE02100500000054540402", "4240"),
    ("S-06", "Kaufmann & Reiss Consulting", "DE298877665", "DE02300209000106531065", None),
    ("S-07", "Shenzhen Glow Electronics Co.", "CN91440300MA5", "GB33BUKB20201555555555", None),
    ("S-08", "Hotel & Reise Service Linden", "ATU66778899", "AT611904300234573201", None),
)

# Posted before: supplier, number, date, net, tax, gross in cents.
INVOICES = (
    ("S-01", "RE-2026-0881", "2026-10-05", 12000, 2280, 14280),
    ("S-03", "SF-44120", "2026-10-31", 84000, 15960, 99960),
    ("S-04", "BM-1007", "2026-09-30", 150000, 30000, 180000),
)

_TRANSIT_DAYS = 5


def rows() -> dict[str, Sequence[tuple[Any, ...]]]:
    """The rows of every table, parents first."""
    lines = [
        (order, article.split()[0], int([*article.split(), "1"][1]))
        for order, _, _, _, articles, _ in ORDERS
        for article in articles.split(", ")
    ]
    shipments = [
        (order, *_shipment(order, ordered, status)) for order, _, ordered, status, _, _ in ORDERS if " " in status
    ]
    return {
        "settings": [("today", TODAY.isoformat()), ("currency", "EUR")],
        "policies": POLICIES,
        "customers": CUSTOMERS,
        "products": PRODUCTS,
        "orders": [
            (order, customer, _ago(ordered), _order_status(status), SHIPPING_CENTS, None)
            for order, customer, ordered, status, _, _ in ORDERS
        ],
        "lines": lines,
        "shipments": shipments,
        "refunds": [
            (number, row[0], row[5], "damaged", None)
            for number, row in enumerate((row for row in ORDERS if row[5]), start=1)
        ],
        "suppliers": SUPPLIERS,
        "accounts": ACCOUNTS,
        "invoices": [(*invoice, None) for invoice in INVOICES],
    }


def _ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def _order_status(status: str) -> str:
    kind = status.split()[0]
    return kind if kind in ("processing", "cancelled", "delivered") else "shipped"


def _shipment(order: str, ordered: int, status: str) -> tuple[Any, ...]:
    kind, figure = status.split()[0], int(status.split()[1])
    shipped = _ago(ordered - 1)
    expected = _ago(figure) if kind != "delivered" else _ago(max(figure, ordered - 1 - _TRANSIT_DAYS))
    carrier = "DHL" if int(order[-1]) % 2 else "Parcelfox"
    found = kind if kind in ("lost", "delivered") else "in_transit"
    return (
        carrier,
        f"{carrier[:2].upper()}{order[2:]}00{order[-2:]}",
        found,
        shipped,
        expected,
        _ago(figure) if kind == "delivered" else None,
    )
