"""Files in M5's official form, of any size: for benchmarks on machines that have not the real ones."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

STORES: Final = [f"{state}_{n}" for state, count in (("CA", 4), ("TX", 3), ("WI", 3)) for n in range(1, count + 1)]
_FIRST_DAY: Final = 11_100  # wm_yr_wk of the first week
_ON_SALE: Final = 0.97  # of the weeks of an item in a store


def write_m5(folder: Path, series: int, days: int, seed: int = 7) -> int:
    """Write the three files for `series` series (items × 10 stores) and `days` days; returns the item-days on sale."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    n_items = max(series // len(STORES), 1)
    items = [f"FOODS_{1 + i % 3}_{i:03d}" for i in range(n_items)]
    dates = pd.date_range("2011-01-29", periods=days + 28)
    weeks = _FIRST_DAY + np.arange(len(dates)) // 7
    names = [f"d_{d + 1}" for d in range(len(dates))]
    calendar = pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), "wm_yr_wk": weeks, "d": names})
    for name in ("event_name_1", "event_type_1", "event_name_2", "event_type_2"):
        calendar[name] = ""
    for state in ("CA", "TX", "WI"):
        calendar[f"snap_{state}"] = (np.arange(len(dates)) % 30 < 10).astype(int)
    calendar.to_csv(folder / "calendar.csv", index=False)

    store, item = (a.ravel() for a in np.meshgrid(np.arange(len(STORES)), np.arange(n_items), indexing="ij"))
    ids = {
        "id": [f"{items[i]}_{STORES[s]}_evaluation" for s, i in zip(store, item, strict=True)],
        "item_id": [items[i] for i in item],
        "dept_id": [items[i][:7] for i in item],
        "cat_id": ["FOODS"] * len(item),
        "store_id": [STORES[s] for s in store],
        "state_id": [STORES[s][:2] for s in store],
    }
    level = rng.gamma(0.6, 2.0, len(item))
    units = rng.poisson(level[:, None], (len(item), days)).astype(np.int16)
    wide = pa.table({**ids, **{names[d]: units[:, d] for d in range(days)}})
    arrow_csv.write_csv(wide, folder / "sales_train_evaluation.csv")

    week_numbers = np.unique(weeks)
    sold = rng.random((len(item), len(week_numbers))) < _ON_SALE
    row, week = np.nonzero(sold)
    price = np.round(rng.uniform(1, 9, len(item))[row], 2)
    prices = {
        "store_id": pa.DictionaryArray.from_arrays(pa.array(store[row].astype(np.int32)), STORES).dictionary_decode(),
        "item_id": pa.DictionaryArray.from_arrays(pa.array(item[row].astype(np.int32)), items).dictionary_decode(),
        "wm_yr_wk": week_numbers[week],
        "sell_price": price,
    }
    arrow_csv.write_csv(pa.table(prices), folder / "sell_prices.csv")
    return int(sold[:, np.searchsorted(week_numbers, weeks[:days])].sum())
