"""Which champion is served: refused bundles, hot swaps, and what a release needs to have published."""

import json
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from shelfops_api.champion import Champion
from shelfops_pipeline.contracts.bundle import CALIBRATION, LSTM_ONNX, MANIFEST, SCHEMA_VERSION, XGBOOST_ONNX
from shelfops_pipeline.models.bundle import sha256
from tests.api.support import (
    CHALLENGER,
    CHAMPION,
    DATASET,
    PUBLISHED,
    Retailer,
    api_settings,
    check_problem,
    edit_manifest,
    promote,
    publish,
    served,
    until,
)

MILK = {"series": [{"store_id": "S1", "item_id": "milk"}, {"store_id": "S2", "item_id": "eggs"}]}


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_signed(path: Path, data: bytes) -> None:
    """Change a file and its checksum: damage that only using the file can show."""
    path.write_bytes(data)
    sums = json.loads((path.parent / MANIFEST).read_text())["sha256"]
    edit_manifest(path.parent, sha256=sums | {path.name: sha256(path)})


def without_a_feature(folder: Path) -> None:
    features = json.loads((folder / MANIFEST).read_text())["features"]
    edit_manifest(folder, features=features[1:])


def nan_calibration(folder: Path) -> None:
    text = (folder / CALIBRATION).read_text()
    raw = json.loads(text)
    raw["bias"][0][0] = float("nan")
    replace_signed(folder / CALIBRATION, json.dumps(raw).encode())


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flipped xgboost byte": (lambda v: flip_byte(v / XGBOOST_ONNX), "checksum"),
    "flipped lstm byte": (lambda v: flip_byte(v / LSTM_ONNX), "checksum"),
    "flipped calibration byte": (lambda v: flip_byte(v / CALIBRATION), "checksum"),
    "graph missing": (lambda v: (v / LSTM_ONNX).unlink(), "FileNotFoundError"),
    "bundle missing": (shutil.rmtree, "FileNotFoundError"),
    "checksum missing": (lambda v: edit_manifest(v, sha256={}), "checksum"),
    "manifest not JSON": (lambda v: (v / MANIFEST).write_text("{"), "JSONDecodeError"),
    "manifest incomplete": (
        lambda v: (v / MANIFEST).write_text(json.dumps({"schema_version": SCHEMA_VERSION})),
        "ValidationError",
    ),
    "manifest a list": (lambda v: (v / MANIFEST).write_text("[]"), "AttributeError"),
    "later schema": (lambda v: edit_manifest(v, schema_version=SCHEMA_VERSION + 1), f"is not {SCHEMA_VERSION}"),
    "earlier schema": (lambda v: edit_manifest(v, schema_version=1), f"schema version 1 is not {SCHEMA_VERSION}"),
    "another version's": (lambda v: edit_manifest(v, version="v9"), "says that it is v9"),
    "another retailer's": (lambda v: edit_manifest(v, dataset="elsewhere"), "elsewhere"),
    "other features": (without_a_feature, "other features"),
    "no graph at all": (lambda v: replace_signed(v / XGBOOST_ONNX, b"not a graph"), "InvalidProtobuf"),
    "graphs exchanged": (lambda v: replace_signed(v / LSTM_ONNX, (v / XGBOOST_ONNX).read_bytes()), "KeyError"),
    "NaN in calibration": (nan_calibration, "not finite"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bundle_that_cannot_be_used_leaves_the_old_one_serving(models_copy: Path, damage: str) -> None:
    champion = Champion(models_copy, DATASET, published_at=lambda release: PUBLISHED)
    assert champion.refresh()
    before = champion.snapshot
    harm, reason = DAMAGE[damage]
    harm(models_copy / CHALLENGER)
    promote(models_copy, CHALLENGER)
    with capture_logs() as logs:
        assert not champion.refresh()
        assert not champion.refresh()  # not tried again at once
    assert champion.snapshot is before
    (line,) = logs
    assert (line["event"], line["log_level"], line["still_serving"]) == ("champion_refused", "error", "v2+v1")
    assert reason in line["reason"]


def release_of(champion: Champion) -> str | None:
    return None if champion.snapshot is None else champion.snapshot.release


def test_a_damaged_pointer_leaves_the_old_one_serving(models_copy: Path) -> None:
    champion = Champion(models_copy, DATASET, published_at=lambda release: PUBLISHED)
    champion.refresh()
    for text in ("", "{", '{"version": "v3"}'):
        (models_copy / "champion.json").write_text(text)
        assert not champion.refresh()
    (models_copy / "champion.json").unlink()
    assert not champion.refresh()
    assert release_of(champion) == "v2+v1"
    promote(models_copy, CHALLENGER)
    assert champion.refresh()
    assert release_of(champion) == "v3+v1"


def test_the_champion_of_another_retailer_is_refused_with_the_remedy(
    models_copy: Path,
) -> None:
    champion = Champion(models_copy, "another_shop", published_at=lambda release: PUBLISHED)
    with capture_logs() as logs:
        assert not champion.refresh()
    assert f"SHELFOPS_RETAILER_NAME={DATASET}" in logs[0]["reason"]


def test_a_pointer_that_did_not_change_is_not_loaded_again(models_copy: Path) -> None:
    champion = Champion(models_copy, DATASET, published_at=lambda release: PUBLISHED)
    assert [champion.refresh() for _ in range(3)] == [True, False, False]


def test_a_file_system_that_is_away_leaves_the_old_one_serving(models_copy: Path) -> None:
    champion = Champion(models_copy, DATASET, published_at=lambda release: PUBLISHED)
    assert champion.refresh()
    away = models_copy.with_name("away")
    models_copy.rename(away)
    models_copy.touch()  # not a directory: what is in it cannot even be looked for
    assert not champion.refresh()
    assert release_of(champion) == "v2+v1"
    models_copy.unlink()
    away.rename(models_copy)
    promote(models_copy, CHALLENGER)
    assert champion.refresh()


def test_a_bundle_is_tried_again_once_it_may_have_been_repaired(models_copy: Path, published_url: str) -> None:
    with served(api_settings(models_copy.parent, published_url)) as api:
        whole = (models_copy / CHALLENGER / LSTM_ONNX).read_bytes()
        flip_byte(models_copy / CHALLENGER / LSTM_ONNX)
        promote(models_copy, CHALLENGER)
        for _ in range(10):
            assert api.post("/v1/predict", json=MILK).json()["release"] == "v2+v1"
        (models_copy / CHALLENGER / LSTM_ONNX).write_bytes(whole)
        until(lambda: api.get("/v1/champion").json()["release"] == "v3+v1")


def test_without_a_champion_everything_says_so_until_there_is_one(models_copy: Path, published_url: str) -> None:
    away = models_copy.with_name("away")
    models_copy.rename(away)
    with served(api_settings(models_copy.parent, published_url)) as api:
        assert api.get("/healthz").status_code == 200
        for answer in (
            api.get("/readyz"),
            api.get("/v1/champion"),
            api.get("/v1/forecasts/S1/milk"),
            api.post("/v1/predict", json=MILK),
        ):
            check_problem(api, answer, 503, "no_champion")
            assert answer.headers["retry-after"] == "5"
        away.rename(models_copy)
        until(lambda: api.get("/readyz").status_code == 200)
        assert api.post("/v1/predict", json=MILK).status_code == 200


def test_a_release_is_served_once_its_rows_are_published(
    models_copy: Path, warehouse: Engine, warehouse_url_of_test: str, retailer: Retailer
) -> None:
    with served(api_settings(models_copy.parent, warehouse_url_of_test)) as api:
        assert api.get("/readyz").json()["warehouse"] == "unpublished"
        check_problem(api, api.get("/v1/forecasts/S1/milk"), 503, "release_unpublished")
        check_problem(api, api.post("/v1/predict", json=MILK), 503, "release_unpublished")
        publish(warehouse, retailer, CHAMPION)
        assert api.get("/v1/forecasts/S1/milk").status_code == 200
        assert api.get("/readyz").json()["warehouse"] == "published"

        promote(models_copy, CHALLENGER)  # as the registry does, before the new rows are written
        for _ in range(20):
            assert api.get("/v1/forecasts/S1/milk").json()["release"] == "v2+v1"
        publish(warehouse, retailer, CHALLENGER)
        until(lambda: api.get("/v1/forecasts/S1/milk").json()["release"] == "v3+v1")


class Hammer(threading.Thread):
    """Asks the same again and again, and keeps what is wrong with any answer."""

    def __init__(self, ask: Callable[[], httpx.Response], expected: dict[str, dict[str, list[float]]]) -> None:
        super().__init__(daemon=True)
        self.ask, self.expected = ask, expected
        self.stop, self.count, self.seen, self.wrong = threading.Event(), 0, set[str](), list[str]()

    def run(self) -> None:
        while not self.stop.is_set():
            answer = self.ask()
            self.count += 1
            if answer.status_code != 200:
                self.wrong.append(answer.text)
                continue
            body = answer.json()
            self.seen.add(body["release"])
            for series in body.get("series", [body]):
                means = [row["mean"] for row in series["forecast"]]
                same = series["release"] == body["release"] and series["model_version"] in body["release"].split("+")
                expected = self.expected[body["release"]][series["item_id"]]
                if not same or not np.allclose(means, expected, rtol=1e-4, atol=1e-4):
                    self.wrong.append(f"{body['release']}: {series}")


def serves(api: httpx.Client, version: str) -> bool:
    return bool(api.get("/v1/champion").json()["version"] == version)


def went_on(hammers: list[Hammer], counts: list[int]) -> bool:
    return all(hammer.count >= count for hammer, count in zip(hammers, counts, strict=True))


def test_swaps_under_load_fail_no_request_and_mix_no_releases(
    models_copy: Path, published_url: str, retailer: Retailer
) -> None:
    rows = {"milk": retailer.keys.index(("S1", "milk")), "eggs": retailer.keys.index(("S2", "eggs"))}
    expected = {
        f"{version}+v1": {item: retailer.forecast(row, version).mean[0].tolist() for item, row in rows.items()}
        for version in (CHAMPION, CHALLENGER)
    }
    with served(api_settings(models_copy.parent, published_url)) as api:
        hammers = [
            Hammer(lambda: api.post("/v1/predict", json=MILK), expected),
            Hammer(lambda: api.get("/v1/forecasts/S1/milk"), expected),
        ]
        for hammer in hammers:
            hammer.start()
        for swap in range(12):
            promote(models_copy, (CHALLENGER, CHAMPION)[swap % 2])
            until(partial(serves, api, (CHALLENGER, CHAMPION)[swap % 2]))
            until(partial(went_on, hammers, [hammer.count + 3 for hammer in hammers]))
        for hammer in hammers:
            hammer.stop.set()
            hammer.join()
    for hammer in hammers:
        assert hammer.wrong == []
        assert hammer.seen == set(expected)
