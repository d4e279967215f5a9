"""Fills an empty Tryton with one company through its public client library, proteus.

Usage: company.py CONFIGURATION DATABASE (with the interpreter that has requirements.txt)
"""
import datetime
import sys
from decimal import Decimal

from proteus import Model, Wizard, config

import catalog
from company_key import API_KEY

API_GROUPS = ["Sales", "Sales Administrator", "Stock", "Stock Administration", "Stock Cancellation",
              "Stock Force Assignment", "Purchase", "Product Administration", "Party Administration",
              "Accounting"]


def found(model, **values):
    record, = Model.get(model).find([(name, "=", value) for name, value in values.items()], limit=1)
    return record


def made(model, **values):
    record = Model.get(model)(**values)
    record.save()
    return record


def enrol():
    """A new database gives its first user the right to administer nothing; only root can give it groups."""
    config.set_trytond(sys.argv[2], user="root", config_file=sys.argv[1])
    admin = found("res.user", login="admin")
    admin.administrator = True
    admin.groups.extend(Model.get("res.group").find([]))
    admin.save()
    config.set_trytond(sys.argv[2], config_file=sys.argv[1])


def company():
    dollar = made("currency.currency", name="U.S. Dollar", symbol="$", code="USD", rounding=Decimal("0.01"))
    made("currency.currency.rate", date=datetime.date(2020, 1, 1), rate=Decimal(1), currency=dollar)
    wizard = Wizard("company.company.config")
    wizard.execute("company")
    wizard.form.party = made("party.party", name="Harbour Wholesale", code="HARBOUR")
    wizard.form.currency = dollar
    wizard.execute("add")
    config.get_config()._context = Model.get("res.user").get_preferences(True, {})
    return found("company.company")


def accounts(owner):
    """The chart that comes with the accounting module, and the four accounts that orders touch."""
    wizard = Wizard("account.create_chart")
    wizard.execute("account")
    root = Model.get("ir.model.data").get_id("account.account_template_root_en", {})
    wizard.form.account_template = Model.get("account.account.template")(root)
    wizard.form.company = owner
    wizard.execute("create_account")
    by_kind = {kind: found("account.account", **{"type." + kind: True, "closed": False})
               for kind in ("receivable", "payable", "revenue", "expense")}
    wizard.form.account_receivable = by_kind["receivable"]
    wizard.form.account_payable = by_kind["payable"]
    wizard.form.category_account_expense = by_kind["expense"]
    wizard.form.category_account_revenue = by_kind["revenue"]
    wizard.execute("create_properties")
    category = made("product.category", name="Goods", accounting=True,
                    account_expense=by_kind["expense"], account_revenue=by_kind["revenue"])
    term = Model.get("account.invoice.payment_term")(name="30 days")
    line = term.lines.new(type="remainder")
    line.relativedeltas.new(days=30)
    term.save()
    return category, term


def warehouses():
    first = found("stock.location", type="warehouse")
    first.name, first.code = "Main", "MAIN"
    first.save()
    parts = {part: made("stock.location", name=f"East {part}", code=f"EAST-{part[:3].upper()}", type=kind)
             for part, kind in (("input", "storage"), ("output", "storage"), ("storage", "storage"))}
    second = made("stock.location", name="East", code="EAST", type="warehouse", input_location=parts["input"],
                  output_location=parts["output"], storage_location=parts["storage"],
                  lost_found_location=first.lost_found_location or found("stock.location", type="lost_found"))
    return first, second


def api_user(owner):
    user = Model.get("res.user")(name="Pannier", login="pannier")
    user.companies.append(owner)
    user.company = owner
    for group in Model.get("res.group").find([]):
        if group.name in API_GROUPS:
            user.groups.append(Model.get("res.group")(group.id))
    user.save()
    made("res.user.application", user=user, application="rest", key=API_KEY)


def main():
    enrol()
    owner = company()
    category, term = accounts(owner)
    places = warehouses()
    api_user(owner)
    items = catalog.items(category)
    catalog.stock(items, places)
    catalog.supply(items, places[0], term)
    catalog.price_lists(items, owner)
    catalog.customers(term)
    found("ir.cron", method="product.price_list|fill_cache").click("run_once")


if __name__ == "__main__":
    main()
