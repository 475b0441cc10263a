"""Tiny data sets in the official formats, and the way to the real ones."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.data.source import Source
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.settings import Settings

Tables = dict[str, str]

FAVORITA: Tables = {
    "train.csv": (
        "id,date,store_nbr,family,sales,onpromotion\n"
        "1,2017-01-01,1,BREAD/BAKERY,0.0,0\n"
        "2,2017-01-01,2,BREAD/BAKERY,3.5,7\n"
        "3,2017-01-02,1,BREAD/BAKERY,2.0,1\n"
        "4,2017-01-02,2,BREAD/BAKERY,4.0,0\n"
    ),
    "test.csv": (
        "id,date,store_nbr,family,onpromotion\n5,2017-01-03,1,BREAD/BAKERY,3\n6,2017-01-03,2,BREAD/BAKERY,0\n"
    ),
    "stores.csv": "store_nbr,city,state,type,cluster\n1,Quito,Pichincha,D,13\n2,Manta,Manabi,C,4\n",
    "holidays_events.csv": (
        "date,type,locale,locale_name,description,transferred\n"
        "2017-01-01,Holiday,National,Ecuador,Primer dia del ano,True\n"
        "2017-01-02,Transfer,National,Ecuador,Traslado Primer dia del ano,False\n"
        "2017-01-02,Holiday,Local,Manta,Fundacion de Manta,False\n"
        "2017-01-03,Holiday,Regional,Manabi,Provincializacion,False\n"
    ),
    "oil.csv": "date,dcoilwtico\n2016-12-30,53.0\n2017-01-01,\n2017-01-02,52.4\n2017-01-03,99.0\n",
    "transactions.csv": "date,store_nbr,transactions\n2016-12-31,1,900\n2017-01-01,1,770\n2017-01-02,2,800\n",
}

ROSSMANN: Tables = {
    "train.csv": (
        "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday\n"
        "1,3,2014-12-31,5000,500,1,1,0,1\n"
        "2,3,2014-12-31,6000,600,1,1,0,1\n"
        "1,4,2015-01-01,0,0,0,0,a,1\n"
        "2,4,2015-01-01,0,0,0,0,a,1\n"
    ),
    "test.csv": (
        "Id,Store,DayOfWeek,Date,Open,Promo,StateHoliday,SchoolHoliday\n"
        "1,1,5,2015-01-02,1,1,0,0\n2,2,5,2015-01-02,,1,c,0\n"
    ),
    "store.csv": (
        "Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,CompetitionOpenSinceYear,"
        "Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval\n"
        '1,c,a,1270.0,11.0,2014.0,1,1.0,2015.0,"Jan,Apr,Jul,Oct"\n'
        "2,a,c,,,,0,,,\n"
    ),
}

M5_FILES: Tables = {
    "sales_train_validation.csv": (
        "id,item_id,dept_id,cat_id,store_id,state_id,d_2,d_3\n"
        "a,FOODS_1_001,FOODS_1,FOODS,CA_1,CA,3,0\n"
        "b,HOBBIES_1_001,HOBBIES_1,HOBBIES,CA_1,CA,0,5\n"
        "c,FOODS_1_001,FOODS_1,FOODS,TX_1,TX,1,2\n"
    ),
    "calendar.csv": (
        "date,wm_yr_wk,weekday,wday,month,year,d,event_name_1,event_type_1,event_name_2,event_type_2,"
        "snap_CA,snap_TX\n"
        "2016-01-01,11101,F,1,1,2016,d_1,NewYear,National,,,1,0\n"
        "2016-01-02,11101,S,1,1,2016,d_2,,,,,1,0\n"
        "2016-01-03,11102,S,1,1,2016,d_3,Easter,Cultural,OrthodoxEaster,Religious,0,1\n"
        "2016-01-04,11102,M,1,1,2016,d_4,,,,,0,1\n"
    ),
    "sell_prices.csv": (
        "store_id,item_id,wm_yr_wk,sell_price\n"
        "CA_1,FOODS_1_001,11101,2.0\n"
        "CA_1,FOODS_1_001,11102,2.5\n"
        "CA_1,HOBBIES_1_001,11102,9.5\n"
        "TX_1,FOODS_1_001,11101,2.0\n"
        "WI_1,FOODS_1_001,11101,7.0\n"
        "CA_1,FOODS_1_001,11001,1.0\n"
    ),
}

ONLINE_RETAIL: Tables = {
    "online_retail.csv": (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        '536365,85123a,"HEART, WHITE",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n'
        "536365, 85123A,HEART,2,2010-12-01 08:27:00,2.55,17850.0,United Kingdom\n"
        "C536366,85123A,HEART,-1,2010-12-02 09:00:00,2.55,17850.0,United Kingdom\n"
        "536367,POST,POSTAGE,1,2010-12-02 09:30:00,18.0,,France\n"
        "536368,,,3,2010-12-02 10:00:00,0.0,,United Kingdom\n"
        "536369,22423,CAKESTAND,4,2010-12-03 10:00:00,0.0,,United Kingdom\n"
        "536370,22423,CAKESTAND,4,2010-12-03 11:00:00,12.75,,United Kingdom\n"
        "536370,22423,CAKESTAND,4,2010-12-03 11:00:00,12.75,,United Kingdom\n"
    ),
}

OFFICIAL: dict[str, Tables] = {
    "favorita": FAVORITA,
    "rossmann": ROSSMANN,
    "m5": M5_FILES,
    "online_retail": ONLINE_RETAIL,
}


@pytest.fixture
def official() -> dict[str, Tables]:
    """File contents by data set; a test may change its copy."""
    return {name: dict(tables) for name, tables in OFFICIAL.items()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files into a fresh folder, gzipped where asked."""

    def _write(tables: Tables, *, zipped: bool = False) -> Path:
        for name, text in tables.items():
            if zipped:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
            else:
                (tmp_path / name).write_text(text)
        return tmp_path

    return _write


@pytest.fixture
def real_source() -> Callable[[str], Source]:
    """A source over the real files; skips where they are not."""
    default = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    root = Path(os.environ.get("SHELFOPS_REAL_DATA") or default)

    def _open(name: str) -> Source:
        if not (root / name).is_dir():
            pytest.skip(f"real data not found: {root / name} (set SHELFOPS_REAL_DATA)")
        return open_source(name, root / name, Settings())

    return _open
