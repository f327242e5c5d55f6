"""The books: tools that find suppliers and post invoices to the ledger."""

from __future__ import annotations

from typing import Any, Literal

from skillforge.shop.database import Database, cents, euros, policy
from skillforge.shop.orders import ShopError
from skillforge.shop.reading import amount_of, date_of, ibans_of, sums_of
from skillforge.shop.rules import invoice_rule
from skillforge.tools.mark import tool

Expense = Literal["freight", "software", "office", "advertising", "travel", "advice", "energy", "goods"]
_INPUT_VAT, _PAYABLES = "1400", "1600"


class Books:
    """The tools for the ledger of one shop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tool
    def find_supplier(self, invoice: str) -> dict[str, Any]:
        """Who sent an invoice, by the VAT number or the name on it; whether the bank account on it is theirs; the
        expense that all of their invoices belong to, if there is one.
        """
        plain = "".join(invoice.split()).upper()
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT suppliers.*, kind FROM suppliers LEFT JOIN accounts ON account = code"
            ).fetchall()
        by_number = [row for row in rows if row["vat_id"] in plain]
        found = by_number or [row for row in rows if "".join(row["name"].split()).upper() in plain]
        if len(found) != 1:
            return {"known": False, "supplier_id": "", "name": "", "iban_matches": False, "expense": None}
        row = found[0]
        return {
            "known": True,
            "supplier_id": row["id"],
            "name": row["name"],
            "iban_matches": ibans_of(invoice) <= {row["iban"]},
            "expense": row["kind"],
        }

    @tool
    def chart_of_accounts(self) -> list[dict[str, Any]]:
        """The accounts of the ledger."""
        with self._database.reading() as connection:
            return list(connection.execute("SELECT * FROM accounts"))

    @tool
    def find_amounts(self, invoice: str) -> dict[str, Any]:
        """Net, tax and gross of an invoice as printed, where there is one way only in which its amounts add up."""
        found = sums_of(invoice)
        net, tax, gross = next(iter(found)) if len(found) == 1 else (None, None, None)
        return {"found": net is not None, "net": net, "tax": tax, "gross": gross}

    @tool
    def read_figures(self, number: str, date: str, net: str, tax: str, gross: str) -> dict[str, Any]:
        """What was copied from an invoice as values: the date as YYYY-MM-DD, amounts in euros."""
        try:
            return {
                "number": "".join(number.split()),
                "date": date_of(date).isoformat(),
                "net": euros(amount_of(net)),
                "tax": euros(amount_of(tax)),
                "gross": euros(amount_of(gross)),
            }
        except ValueError as exc:
            raise ShopError(str(exc)) from exc

    @tool
    def assess_invoice(self, invoice: str, number: str, net: float, tax: float, gross: float) -> dict[str, Any]:
        """Whether an invoice may be posted: decision (post, duplicate, review) and why. Changes nothing."""
        supplier = self.find_supplier(invoice)
        with self._database.reading() as connection:
            posted = connection.execute(
                "SELECT 1 FROM invoices WHERE supplier_id = ? AND number = ?", (supplier["supplier_id"], number)
            ).fetchone()
            limit = policy(connection, "invoice_limit_cents")
        figures = {"net": net, "tax": tax, "gross": gross}
        decision, why = invoice_rule(supplier, figures, posted is not None, limit)
        return {"decision": decision, "why": why}

    @tool(effect="write", idempotency_key="idempotency_key")
    def post_ledger_entry(
        self,
        supplier_id: str,
        number: str,
        date: str,
        net: float,
        tax: float,
        gross: float,
        expense: Expense,
        idempotency_key: str = "",
    ) -> dict[str, Any]:
        """Post an invoice: expense and input VAT in debit, trade payables in credit. Once for a supplier's number."""
        with self._database.writing() as connection:
            if idempotency_key and (
                earlier := connection.execute(
                    "SELECT * FROM invoices WHERE idempotency_key = ?", (idempotency_key,)
                ).fetchone()
            ):
                return {"posted": earlier["number"], "supplier_id": earlier["supplier_id"]}
            if not connection.execute("SELECT 1 FROM suppliers WHERE id = ?", (supplier_id,)).fetchone():
                raise ShopError(f"there is no supplier {supplier_id!r}; find_supplier names them")
            if cents(net) + cents(tax) != cents(gross):
                raise ShopError(f"net {net:.2f} and tax {tax:.2f} are not gross {gross:.2f}")
            if cents(gross) > (limit := policy(connection, "invoice_limit_cents")):
                raise ShopError(f"above {euros(limit):.2f} euros a person decides: open_review")
            if connection.execute(
                "SELECT 1 FROM invoices WHERE supplier_id = ? AND number = ?", (supplier_id, number)
            ).fetchone():
                raise ShopError(f"invoice {number} of {supplier_id} was posted before")
            account = connection.execute("SELECT code FROM accounts WHERE kind = ?", (expense,)).fetchone()["code"]
            connection.execute(
                "INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?)",
                (supplier_id, number, date, cents(net), cents(tax), cents(gross), idempotency_key or None),
            )
            entries = [(account, cents(net), 0), (_INPUT_VAT, cents(tax), 0), (_PAYABLES, 0, cents(gross))]
            connection.executemany(
                "INSERT INTO entries (supplier_id, number, account, debit_cents, credit_cents) VALUES (?, ?, ?, ?, ?)",
                [(supplier_id, number, *entry) for entry in entries],
            )
        return {"posted": number, "supplier_id": supplier_id}

    def tools(self) -> list[Any]:
        """What of this may be called by a model or a workflow."""
        return [
            self.find_supplier,
            self.chart_of_accounts,
            self.find_amounts,
            self.read_figures,
            self.assess_invoice,
            self.post_ledger_entry,
        ]
