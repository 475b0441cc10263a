"""TreeSHAP of groups of features for many rows: the same values as XGBoost's `pred_contribs`, summed by group.

`pred_contribs` takes tens of milliseconds a row with a booster of full size, so it explains samples. Here a leaf's
contributions depend on a row only through which of the path's features send it towards the leaf: 2^d patterns for d
distinct features, d at most the depth. They are tabulated once per leaf (FastTreeSHAP v2, Yang 2021, arXiv:2109.09847),
and rows look them up. The Shapley weights are an integral over [0, 1] of a polynomial (Yu et al. 2022,
arXiv:2209.08192), which Gauss-Legendre quadrature with enough nodes gives exactly.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.explain.shap_values import TOLERANCE

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Patterns = NDArray[np.uint16]

_CHUNK: Final = 16_384  # rows at a time: what a leaf touches stays in the processor's cache
_DEEPEST: Final = 14  # patterns are 16-bit numbers, and tables of 2^d rows
_PROBES: Final = 8


@dataclass(frozen=True)
class _Tree:
    """One tree; arrays are by node, 0 is the root. A row goes left where its value is below the threshold."""

    left: Indices
    """-1: a leaf"""
    right: Indices
    feature: Indices
    threshold: Floats
    """of a leaf: its value"""
    missing_left: NDArray[np.bool_]
    cover: Doubles


@dataclass(frozen=True)
class _Path:
    """The way to a node: its distinct features, and the share of rows that each would let through."""

    features: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()


def grouped_shap(booster: Any, X: Floats, groups: Indices, n_groups: int) -> tuple[Doubles, Doubles]:
    """([n, G] SHAP values summed by group, [n] margin before any feature is known) of every row of X [n, F].

    `groups` is [F]. Raises ValueError if the values do not add up to the margin, or differ from `pred_contribs` on the
    few rows on which both are computed.
    """
    values = np.zeros((n_groups, len(X)), dtype=np.float64)
    if not len(X):
        return values.T, np.zeros(0)
    columns = np.ascontiguousarray(X.T)
    for tree in _trees(booster):
        _add(tree, columns, groups, values)
    return values.T, _checked_base(booster, X, groups, values.T)


def _checked_base(booster: Any, X: Floats, groups: Indices, values: Doubles) -> Doubles:
    """[n] the margin before any feature is known. Raises ValueError if `values` are not XGBoost's own."""
    import xgboost

    probe = np.unique(np.linspace(0, len(X) - 1, _PROBES).astype(np.intp))
    native = np.asarray(booster.predict(xgboost.DMatrix(X[probe]), pred_contribs=True), dtype=np.float64)
    margin = np.asarray(booster.predict(xgboost.DMatrix(X), output_margin=True), dtype=np.float64)
    base = np.full(len(X), native[0, -1])
    summed = native[:, :-1] @ np.eye(values.shape[1])[groups]
    off_margin = np.abs(base + values.sum(axis=1) - margin) / np.maximum(1, np.abs(margin))
    off_native = np.abs(values[probe] - summed).max(axis=1) / np.maximum(1, np.abs(margin[probe]))
    gap = max(off_margin.max(), off_native.max())
    if not gap <= TOLERANCE:
        raise ValueError(f"SHAP values miss XGBoost's own by up to {gap:.2g}.")
    return base


def _trees(booster: Any) -> Iterator[_Tree]:
    ensemble = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    if ensemble["name"] != "gbtree":
        raise ValueError(f"Only plain trees can be explained; this is a {ensemble['name']} model.")
    for raw in ensemble["model"]["trees"]:
        if raw["categories"]:
            raise ValueError("Splits on categories are not supported; encode them as numbers.")
        yield _Tree(
            left=np.array(raw["left_children"], dtype=np.intp),
            right=np.array(raw["right_children"], dtype=np.intp),
            feature=np.array(raw["split_indices"], dtype=np.intp),
            threshold=np.array(raw["split_conditions"], dtype=np.float32),
            missing_left=np.array(raw["default_left"], dtype=bool),
            cover=np.array(raw["sum_hessian"], dtype=np.float64),
        )


@dataclass(frozen=True)
class _Leaf:
    """A leaf, the way to it, and which rows take which part of it."""

    value: float
    path: _Path
    pattern: Patterns
    """[n] bit k is set where the row's value of the path's k-th feature leads here"""


def _leaves(tree: _Tree, columns: Floats) -> Iterator[_Leaf]:
    """The leaves of one tree as some rows see them; `columns` is [F, n]."""
    waiting = [(0, _Path(), np.zeros(columns.shape[1], dtype=np.uint16))]
    while waiting:
        node, path, pattern = waiting.pop()
        if tree.left[node] < 0:
            yield _Leaf(float(tree.threshold[node]), path, pattern)
            continue
        feature = int(tree.feature[node])
        goes_left = columns[feature] < tree.threshold[node]
        if tree.missing_left[node]:
            goes_left |= np.isnan(columns[feature])
        for child, goes in ((int(tree.left[node]), goes_left), (int(tree.right[node]), ~goes_left)):
            share = float(tree.cover[child] / tree.cover[node])
            waiting.append((child, *_further(path, pattern, feature, share, goes)))


def _further(
    path: _Path, pattern: Patterns, feature: int, share: float, goes: NDArray[np.bool_]
) -> tuple[_Path, Patterns]:
    """One step down. A feature that was on the path before lets through only what passes both times."""
    if feature not in path.features:
        bit = goes.astype(np.uint16) << np.uint16(len(path.features))
        return _Path((*path.features, feature), (*path.shares, share)), pattern | bit
    k = path.features.index(feature)
    shares = (*path.shares[:k], path.shares[k] * share, *path.shares[k + 1 :])
    return _Path(path.features, shares), pattern & ~((~goes).astype(np.uint16) << np.uint16(k))


def _add(tree: _Tree, columns: Floats, groups: Indices, out: Doubles) -> None:
    """Add one tree's contributions to `out` [G, n]; `columns` is [F, n]."""
    tables = _grouped(list(_leaves(tree, columns[:, :0])), groups)
    for i in range(0, columns.shape[1], _CHUNK):
        chunk = slice(i, i + _CHUNK)
        for leaf, table in zip(_leaves(tree, columns[:, chunk]), tables, strict=True):
            place = leaf.pattern.astype(np.intp)
            for group, by_pattern in table.items():
                out[group, chunk] += by_pattern.take(place)


def _grouped(leaves: list[_Leaf], groups: Indices) -> list[dict[int, Doubles]]:
    """For each leaf: group -> [2^d] contribution of the group by pattern; none where there is no split on the way."""
    out: list[dict[int, Doubles]] = [{} for _ in leaves]
    lengths = np.array([len(leaf.path.features) for leaf in leaves])
    for d in np.unique(lengths[lengths > 0]):
        some = np.flatnonzero(lengths == d)
        values = np.array([leaves[i].value for i in some])
        tables = _tables(values, np.array([leaves[i].path.shares for i in some]))
        for i, table in zip(some, tables, strict=True):
            owners = groups[list(leaves[i].path.features)]
            out[i] = {int(g): table[owners == g].sum(axis=0) for g in np.unique(owners)}
    return out


def _tables(values: Doubles, shares: Doubles) -> Doubles:
    """[L, d, 2^d] contribution of each of the d features on the way to each of L leaves, by pattern.

    It is value (o_j - z_j) times the integral over x of prod_{k != j} (o_k x + z_k (1 - x)), with o_k the pattern's bit
    and z_k the share.
    """
    d = shares.shape[1]
    if d > _DEEPEST:
        raise ValueError(f"A path has {d} distinct features; at most {_DEEPEST} are supported.")
    nodes, weights = np.polynomial.legendre.leggauss(d // 2 + 1)
    x, w = (nodes + 1) / 2, weights / 2
    off = shares[:, :, None] * (1 - x)  # [L, d, q] a factor where the bit is off
    on = off + x
    whole = np.ones((len(values), 1, len(x)))
    for k in range(d):
        whole = np.concatenate([whole * off[:, k, None], whole * on[:, k, None]], axis=1)
    bit = (np.arange(1 << d) >> np.arange(d)[:, None]) & 1  # [d, 2^d]
    without = [(w / factor) @ whole.transpose(0, 2, 1) for factor in (off, on)]
    scale = values[:, None, None] * (bit - shares[:, :, None])
    return scale * np.where(bit, without[1], without[0])
