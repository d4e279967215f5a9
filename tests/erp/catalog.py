"""What the test company sells: items, stock, supply, price lists and customers, the same on every run."""
import datetime
from decimal import Decimal

from proteus import Model

ITEMS = 40
CUSTOMERS = 12
SOLD_BY_CASE = 4  # every fourth item is sold by the case of twelve
STOCK_MAIN, STOCK_EAST = 500, 120
SCARCE = "ITEM-040"  # a handful of units, for tests about the last ones
SCARCE_STOCK = 5


def found(model, *domain):
    record, = Model.get(model).find(list(domain), limit=1)
    return record


def items(category):
    unit = found("product.uom", ("name", "=", "Unit"))
    case = Model.get("product.uom")(name="Case of 12", symbol="cs", category=unit.category,
                                    rate=round(1 / 12, 12), factor=12.0, rounding=1.0, digits=0)
    case.save()
    made = []
    for number in range(1, ITEMS + 1):
        template = Model.get("product.template")(
            name=f"Item {number}", type="goods", default_uom=unit, salable=True, purchasable=True,
            account_category=category, list_price=Decimal(number) + Decimal("0.2500"))
        if number % SOLD_BY_CASE == 0:
            template.sale_uom = case
        template.products[0].suffix_code = f"ITEM-{number:03}"
        template.products[0].cost_price = Decimal(number) / 2
        template.save()
        made += template.products
    return made


def stock(products, places):
    for place, usual in zip(places, (STOCK_MAIN, STOCK_EAST)):
        inventory = Model.get("stock.inventory")(location=place.storage_location)
        for product in products:
            few = product.code == SCARCE
            line = inventory.lines.new(product=product)
            line.quantity = float(SCARCE_STOCK if few else usual)
            line.expected_quantity = 0.0
        inventory.save()
        inventory.click("confirm")


def supply(products, place, term):
    """One confirmed purchase: its lines become moves in state draft that are due in a week."""
    supplier = Model.get("party.party")(name="Northern Mills", code="SUPPLIER-1")
    supplier.save()
    purchase = Model.get("purchase.purchase")(party=supplier, payment_term=term, warehouse=place,
                                              reference="PO-1")
    for product in products[:10]:
        line = purchase.lines.new(product=product)
        line.quantity, line.unit_price = 200.0, product.cost_price
        line.delivery_date_edit = True
        line.delivery_date_store = datetime.date.today() + datetime.timedelta(days=7)
    purchase.save()
    purchase.click("quote")
    purchase.click("confirm")


def price_lists(products, owner):
    """The first line that matches wins, so breaks go from the greatest down and the rest comes last."""
    today = datetime.date.today()
    wholesale = Model.get("product.price_list")(name="Wholesale", company=owner, price="list_price")
    for product in products[:20]:
        for quantity, formula in ((100.0, "unit_price * 0.80"), (24.0, "unit_price * 0.90")):
            wholesale.lines.new(product=product, quantity=quantity, formula=formula)
    wholesale.lines.new(product=products[30], formula="9.9900", start_date=today,
                        end_date=today + datetime.timedelta(days=30))
    wholesale.lines.new(product=products[31], formula="8.8800", start_date=today + datetime.timedelta(days=1))
    wholesale.lines.new(formula="unit_price")
    wholesale.save()
    contract = Model.get("product.price_list")(name="Contract", company=owner, price="cost_price")
    contract.lines.new(formula="cost_price * 1.3 + 0.05")
    contract.save()


def customers(term):
    wholesale, contract = (found("product.price_list", ("name", "=", name))
                           for name in ("Wholesale", "Contract"))
    for number in range(1, CUSTOMERS + 1):
        party = Model.get("party.party")(name=f"Customer {number}", code=f"CUST-{number:03}")
        party.customer_payment_term = term
        party.sale_price_list = contract if number % 3 == 0 else wholesale
        party.addresses[0].street = f"{number} Quay"
        party.save()
