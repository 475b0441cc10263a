"""Where asset values live: files under one artifact root, each written beside its place and renamed into it."""

import json
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.contracts.columns import DATE, NAME, TS
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.persist import load_backtest, save_backtest
from shelfops_pipeline.features.create import FeatureRows
from shelfops_pipeline.inference.quiet import import_keras
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.settings import Settings

_REFERENCE_FRAMES = ("stores", "items", "calendar", "suppliers")


class FramesIOManager(dg.ConfigurableIOManager):
    """Frames as Parquet: one file per partition, split by the frame's own dates, or one file where there are none."""

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        folder = _folder(context)
        if not context.has_asset_partitions:
            _write_parquet(folder / "all.parquet", _table(obj))
            return
        keys = context.asset_partition_keys
        column = TS if TS in obj else DATE
        day = obj[column].to_numpy("datetime64[D]")
        order = np.argsort(day, kind="stable")
        table, day = _table(obj).take(pa.array(order)), day[order]
        starts = np.searchsorted(day, np.array(keys, dtype="datetime64[D]"))
        width = np.timedelta64(_partition_days(keys, context), "D")
        ends = np.searchsorted(day, np.array(keys, dtype="datetime64[D]") + width)
        for key, start, end in zip(keys, starts, ends, strict=True):
            _write_parquet(folder / f"{key}.parquet", table.slice(start, end - start))

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        folder = _folder(context)
        if not context.has_asset_partitions:
            return _frame([folder / "all.parquet"])
        wanted = (folder / f"{key}.parquet" for key in context.asset_partition_keys)
        files = [path for path in wanted if path.exists()]  # a period without data has no file: nothing to read
        if not files:
            raise dg.DagsterInvariantViolationError(
                f"no partition of {context.asset_key.to_user_string()} is there yet"
            )
        return _frame(files)


class FolderIOManager(dg.ConfigurableIOManager):
    """Values that know how to be a folder of files. None (a tier that is not trained) is an empty folder."""

    @abstractmethod
    def save(self, value: Any, folder: Path) -> None: ...

    @abstractmethod
    def load(self, folder: Path) -> Any: ...

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        folder = _folder(context)
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        if obj is not None:
            self.save(obj, draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)

    def load_input(self, context: dg.InputContext) -> Any:
        folder = _folder(context)
        return self.load(folder) if any(folder.iterdir()) else None


class PanelIOManager(FolderIOManager):
    """A panel, memory-mapped when read."""

    def save(self, value: Panel, folder: Path) -> None:
        value.save(folder)

    def load(self, folder: Path) -> Panel:
        return Panel.load(folder)


class ArraysIOManager(FolderIOManager):
    """Training rows, memory-mapped when read."""

    def save(self, value: FeatureRows, folder: Path) -> None:
        for name in FeatureRows.__dataclass_fields__:
            np.save(folder / f"{name}.npy", getattr(value, name), allow_pickle=False)

    def load(self, folder: Path) -> FeatureRows:
        names = FeatureRows.__dataclass_fields__
        return FeatureRows(*(np.load(folder / f"{n}.npy", mmap_mode="r", allow_pickle=False) for n in names))


class BacktestIOManager(FolderIOManager):
    """A backtest's arrays."""

    def save(self, value: Backtest, folder: Path) -> None:
        save_backtest(value, folder)

    def load(self, folder: Path) -> Backtest:
        return load_backtest(folder)


class BoosterIOManager(FolderIOManager):
    """An XGBoost booster in its own format."""

    def save(self, value: Any, folder: Path) -> None:
        value.save_model(folder / "booster.ubj")

    def load(self, folder: Path) -> Any:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(folder / "booster.ubj")
        return booster


class NetworkIOManager(FolderIOManager):
    """A Keras network in its own format; loading runs no code of the file."""

    def save(self, value: Any, folder: Path) -> None:
        value.save(folder / "network.keras")

    def load(self, folder: Path) -> Any:
        return import_keras().saving.load_model(folder / "network.keras", compile=False)


class JsonIOManager(FolderIOManager):
    """Small plain values."""

    def save(self, value: Any, folder: Path) -> None:
        (folder / "value.json").write_text(json.dumps(value, indent=2, allow_nan=False))

    def load(self, folder: Path) -> Any:
        return json.loads((folder / "value.json").read_text())


class InputsIOManager(FolderIOManager):
    """Serving inputs: one file of packed states per model version."""

    def save(self, value: list[ServingInput], folder: Path) -> None:
        for part in value:
            spec = part.spec.model_dump_json()
            arrays: dict[str, Any] = {"rows": part.rows, "origin": part.state.origin, "spec": np.array(spec)}
            packed = np.stack([np.frombuffer(p, dtype="<f4") for p in part.state.pack()])
            np.savez(folder / f"{part.version}.npz", packed=packed, **arrays)

    def load(self, folder: Path) -> list[ServingInput]:
        return [_serving_input(path) for path in sorted(folder.glob("*.npz"))]


def _serving_input(path: Path) -> ServingInput:
    with np.load(path, allow_pickle=False) as arrays:
        spec = TierSpec.model_validate_json(str(arrays["spec"]))
        state = SeriesState.unpack(spec, arrays["origin"][()], [row.tobytes() for row in arrays["packed"]])
        return ServingInput(path.stem, spec, arrays["rows"], state)


class ReferenceIOManager(FolderIOManager):
    """The reference tables, one Parquet file each."""

    def save(self, value: Reference, folder: Path) -> None:
        for name in _REFERENCE_FRAMES:
            if (frame := getattr(value, name)) is not None:
                _write_parquet(folder / f"{name}.parquet", _table(frame))
        for frame in value.covariates:
            if len(frame):
                _write_parquet(folder / f"covariate.{frame[NAME].iloc[0]}.parquet", _table(frame))

    def load(self, folder: Path) -> Reference:
        frames = {name: _frame([folder / f"{name}.parquet"]) for name in _REFERENCE_FRAMES[:-1]}
        suppliers = folder / "suppliers.parquet"
        return Reference(
            **frames,
            covariates=[_frame([path]) for path in sorted(folder.glob("covariate.*.parquet"))],
            suppliers=_frame([suppliers]) if suppliers.exists() else None,
        )


def io_managers() -> dict[str, dg.ConfigurableIOManager]:
    """By the keys that assets name."""
    return {
        "frames": FramesIOManager(),
        "panels": PanelIOManager(),
        "arrays": ArraysIOManager(),
        "boosters": BoosterIOManager(),
        "networks": NetworkIOManager(),
        "backtests": BacktestIOManager(),
        "references": ReferenceIOManager(),
        "json": JsonIOManager(),
        "inputs": InputsIOManager(),
    }


def _folder(context: dg.OutputContext | dg.InputContext) -> Path:
    return Settings().artifacts.joinpath(*context.asset_key.path)


def _partition_days(keys: Sequence[str], context: dg.OutputContext) -> int:
    return 7 if isinstance(context.asset_partitions_def, dg.WeeklyPartitionsDefinition) else 1


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _frame(files: list[Path]) -> pd.DataFrame:
    table = pa.concat_tables([pq.read_table(path) for path in files], promote_options="permissive")
    return table.unify_dictionaries().to_pandas()


def _write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    pq.write_table(table, draft, compression="zstd")
    draft.replace(path)
