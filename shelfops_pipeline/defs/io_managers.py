"""Where asset values live: files under one artifact root, each written beside its place and renamed into it."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import NAME
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.evaluation.backtest import Backtest, RawFold
from shelfops_pipeline.evaluation.persist import load_backtest, load_fold, save_backtest, save_fold
from shelfops_pipeline.features.create import FeatureRows
from shelfops_pipeline.inference.quiet import import_keras
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.models.totals import Totals
from shelfops_pipeline.settings import Settings

_REFERENCE_FRAMES = ("stores", "items", "calendar", "suppliers")


class FramesIOManager(dg.ConfigurableIOManager):
    """A frame as one Parquet file."""

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(obj, preserve_index=False)
        artifact_root(Settings()).write(
            f"{_path(context)}/all.parquet", lambda stream: pq.write_table(table, stream, compression="zstd")
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        with artifact_root(Settings()).open(f"{_path(context)}/all.parquet") as stream:
            return pd.read_parquet(stream)


class PartitionsIOManager(dg.ConfigurableIOManager):
    """Frames by period: what is handed on is where they are; the asset itself wrote them, block by block."""

    def handle_output(self, context: dg.OutputContext, obj: Partitions) -> None:
        """Nothing is left to write."""

    def load_input(self, context: dg.InputContext) -> Partitions:
        return Partitions.of(context, _path(context))


class FolderIOManager(dg.ConfigurableIOManager):
    """Values that know how to be a folder of files. None (a tier that is not trained) is an empty folder."""

    @abstractmethod
    def save(self, value: Any, folder: Path) -> None: ...

    @abstractmethod
    def load(self, folder: Path) -> Any: ...

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        with artifact_root(Settings()).replace_folder(_path(context)) as folder:
            if obj is not None:
                self.save(obj, folder)

    def load_input(self, context: dg.InputContext) -> Any:
        folder = artifact_root(Settings()).folder(_path(context))
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


class FoldIOManager(FolderIOManager):
    """A fold that is yet to be joined with others."""

    def save(self, value: RawFold, folder: Path) -> None:
        save_fold(value, folder)

    def load(self, folder: Path) -> RawFold:
        return load_fold(folder)


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
            arrays: dict[str, Any] = {
                "rows": part.rows,
                "origin": part.state.origin,
                "spec": np.array(spec),
                **part.members,
            }
            packed = np.stack([np.frombuffer(p, dtype="<f4") for p in part.state.pack()])
            np.savez(folder / f"{part.version}.npz", packed=packed, **arrays)

    def load(self, folder: Path) -> list[ServingInput]:
        return [_serving_input(path) for path in sorted(folder.glob("*.npz"))]


def _serving_input(path: Path) -> ServingInput:
    with np.load(path, allow_pickle=False) as arrays:
        if not set(MEMBERS) <= set(arrays.files):
            raise DataError(f"{path} was written by an older release; materialize `online_features` again")
        spec = TierSpec.model_validate_json(str(arrays["spec"]))
        state = SeriesState.unpack(spec, arrays["origin"][()], [row.tobytes() for row in arrays["packed"]])
        return ServingInput(path.stem, spec, arrays["rows"], state, {name: arrays[name] for name in MEMBERS})


class TotalsIOManager(FolderIOManager):
    """The forecast of totals, and which total each series is part of."""

    def save(self, value: Totals, folder: Path) -> None:
        for name in Totals.__dataclass_fields__:
            np.save(folder / f"{name}.npy", getattr(value, name), allow_pickle=False)

    def load(self, folder: Path) -> Totals:
        return Totals(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in Totals.__dataclass_fields__))


class ReferenceIOManager(FolderIOManager):
    """The reference tables, one Parquet file each."""

    def save(self, value: Reference, folder: Path) -> None:
        for name in _REFERENCE_FRAMES:
            if (frame := getattr(value, name)) is not None:
                pq.write_table(
                    pa.Table.from_pandas(frame, preserve_index=False), folder / f"{name}.parquet", compression="zstd"
                )
        for frame in value.covariates:
            if len(frame):
                pq.write_table(
                    pa.Table.from_pandas(frame, preserve_index=False),
                    folder / f"covariate.{frame[NAME].iloc[0]}.parquet",
                    compression="zstd",
                )

    def load(self, folder: Path) -> Reference:
        frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _REFERENCE_FRAMES[:-1]}
        suppliers = folder / "suppliers.parquet"
        return Reference(
            **frames,
            covariates=[pd.read_parquet(path) for path in sorted(folder.glob("covariate.*.parquet"))],
            suppliers=pd.read_parquet(suppliers) if suppliers.exists() else None,
        )


def io_managers() -> dict[str, dg.ConfigurableIOManager]:
    """By the keys that assets name."""
    return {
        "frames": FramesIOManager(),
        "partitions": PartitionsIOManager(),
        "panels": PanelIOManager(),
        "arrays": ArraysIOManager(),
        "boosters": BoosterIOManager(),
        "networks": NetworkIOManager(),
        "backtests": BacktestIOManager(),
        "folds": FoldIOManager(),
        "references": ReferenceIOManager(),
        "json": JsonIOManager(),
        "inputs": InputsIOManager(),
        "totals": TotalsIOManager(),
    }


def _path(context: dg.OutputContext | dg.InputContext) -> str:
    """Below the artifact root. What a step inside of an asset hands to the next one lies under `steps`, and is replaced
    by the next run."""
    if context.has_asset_key:
        return "/".join(context.asset_key.path)
    made = context.upstream_output if isinstance(context, dg.InputContext) else context
    if made is None:
        raise ValueError("an input that is no asset must come from a step")
    step = made.step_key.replace("[", "/").rstrip("]")
    return f"steps/{step}/{made.mapping_key or made.name}"
