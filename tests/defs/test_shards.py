"""Features, backtests and forecasts made in shards, on an object store, are what one step makes of them on a disk, bit
for bit."""

import uuid
from typing import Any

import dagster as dg
import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.defs.artifacts import ArtifactRoot, artifact_root
from shelfops_pipeline.defs.io_managers import ArraysIOManager, BacktestIOManager, InputsIOManager
from shelfops_pipeline.defs.resources import resources
from shelfops_pipeline.defs.serving import INPUTS, demand_forecasts
from shelfops_pipeline.defs.shards import SECONDS, series_shards
from shelfops_pipeline.defs.training import BACKTEST, features
from shelfops_pipeline.settings import Settings
from tests.conftest import make_databases
from tests.defs.conftest import Graph, files_under

SHARDS = 4
FEATURES = [f"{tier}_features" for tier in Tier]


@pytest.mark.parametrize("shards", [1, 2, 5, 9, 20])
def test_shards_of_series_are_neighbours_in_order_and_about_equal(shards: int) -> None:
    found = series_shards(9, shards)
    assert [row for part in found for row in range(9)[part]] == list(range(9))
    sizes = [part.stop - part.start for part in found]
    assert len(found) == min(shards, 9)
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def sharded(graph: Graph, postgres_server: str, object_store: str, tmp_path_factory: Any) -> Any:
    """(the run, the artifact root) of the same panel's features and forecasts in shards; its own warehouse and root."""
    values = make_databases(postgres_server, "shards")
    values |= {"shards": str(SHARDS), "artifacts": f"{object_store}/{uuid.uuid4().hex}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SHELFOPS_{name.upper()}", value)
        root = ArtifactRoot(values["artifacts"], tmp_path_factory.mktemp("cache"))
        with root.replace_folder("panel") as folder:
            for name, content in files_under(artifact_root(graph.settings).folder("panel")).items():
                (folder / name).write_bytes(content)
        made = [
            *(features(tier).in_shards() for tier in Tier),
            BACKTEST.in_shards(),
            INPUTS.in_shards(),
            demand_forecasts,
        ]
        assert artifact_root(Settings()).names("panel")
        given = dg.AssetSpec("panel").with_io_manager_key("panels")
        yield dg.materialize([given, *made], selection=made, resources=resources()), root


def test_every_shard_is_a_step_of_its_own(sharded: Any) -> None:
    result, _ = sharded
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    for name in FEATURES:
        assert {f"{name}.{name}_shard[{k:04}]" for k in range(SHARDS)} <= steps
    assert "online_features.online_features_totals" in steps
    for name in FEATURES:
        facts = result.asset_materializations_for_node(f"{name}.{name}_joined")[0].metadata
        assert facts["shards"].value == SHARDS
        parts = [result.output_for_node(f"{name}.{name}_shard", SECONDS)[f"{k:04}"] for k in range(SHARDS)]
        assert facts[SECONDS].value == pytest.approx(sum(parts))
        assert min(parts) > 0


def test_features_do_not_depend_on_the_shards_that_they_were_made_in(graph: Graph, sharded: Any) -> None:
    for name in FEATURES:
        one, other = (ArraysIOManager().load(root.folder(name)) for root in (artifact_root(graph.settings), sharded[1]))
        for field in one.__dataclass_fields__:
            assert np.asarray(getattr(one, field)).tobytes() == np.asarray(getattr(other, field)).tobytes(), field


def test_a_backtest_does_not_depend_on_whether_its_folds_are_steps(graph: Graph, sharded: Any) -> None:
    result, root = sharded
    files = [files_under(r.folder("backtest")) for r in (artifact_root(graph.settings), root)]
    assert len(files[0]) > 5
    assert [name for name in files[0] if files[0][name] != files[1].get(name)] == []
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    folds = len(BacktestIOManager().load(root.folder("backtest")).origins)
    assert folds > 1
    assert {f"backtest.backtest_shard[{k:04}]" for k in range(folds)} <= steps


def test_forecasts_do_not_depend_on_the_shards_that_they_were_made_in(graph: Graph, sharded: Any) -> None:
    roots = (artifact_root(graph.settings), sharded[1])
    parts = [InputsIOManager().load(root.folder("online_features")) for root in roots]
    assert [p.version for p in parts[0]] == [p.version for p in parts[1]]
    for one, other in zip(*parts, strict=True):
        assert one.state.pack() == other.state.pack()
        assert {k: v.tobytes() for k, v in one.members.items()} == {k: v.tobytes() for k, v in other.members.items()}
    files = []
    for root in roots:
        with root.open("demand_forecasts/all.parquet") as stream:
            files.append(stream.read())
    assert files[0] == files[1]
