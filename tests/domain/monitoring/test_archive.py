"""Issued forecasts on disk: what is read is what was issued; replaced, not duplicated; bounded."""

from datetime import timedelta

import numpy as np

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.monitoring.archive import Archive
from shelfops_pipeline.monitoring.issued import Role, issue
from tests.domain.monitoring.conftest import FIRST, forecast_rows, issued_table


def test_what_is_read_is_what_was_issued(archive: Archive) -> None:
    mean = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    archive.write(issued_table(FIRST, mean, versions=("v2", "v1", "v2"), known_until={"v1": FIRST, "v2": FIRST}))
    found = archive.read(FIRST, Role.CHAMPION)
    assert found is not None
    assert (found.origin, found.role, found.grain) == (FIRST, Role.CHAMPION, Grain.DAY)
    series = list(zip(found.store_ids, found.item_ids, found.versions, strict=True))
    assert series == [("a", "bun", "v1"), ("a", "milk", "v2"), ("b", "bun", "v2")]
    assert found.mean.tolist() == [[3, 4], [1, 2], [5, 6]]
    assert found.quantiles[0, 0].tolist() == [2, 2.5, 3, 3.5, 4]
    assert found.dates.astype(str).tolist() == ["2025-03-04", "2025-03-05"]
    assert found.known_until == {"v1": FIRST, "v2": FIRST}
    assert found.there.all()


def test_an_origin_issued_again_is_replaced_and_the_other_role_kept(archive: Archive) -> None:
    archive.write(issued_table(FIRST, [[1.0]] * 3))
    archive.write(issued_table(FIRST, [[9.0]] * 3, Role.CHALLENGER))
    archive.write(issued_table(FIRST, [[2.0]] * 3, versions=("v2",) * 3))
    ((champion, challenger),) = archive.pairs()
    assert challenger is not None
    assert set(champion.versions) == {"v2"}
    assert champion.mean.tolist() == [[2]] * 3
    assert challenger.mean.tolist() == [[9]] * 3


def test_the_oldest_origins_are_deleted_in_both_roles(archive: Archive) -> None:
    days = [FIRST + timedelta(days=n) for n in range(5)]
    for day in days:
        archive.write(issued_table(day, [[1.0]] * 3))
        archive.write(issued_table(day, [[1.0]] * 3, Role.CHALLENGER))
    assert archive.origins() == days[-3:]
    assert len(archive.files.names("issued_forecasts")) == 6


def test_a_challengers_forecasts_can_be_withdrawn(archive: Archive) -> None:
    archive.withdraw(FIRST, Role.CHALLENGER)  # there are none: nothing happens
    archive.write(issued_table(FIRST, [[1.0]] * 3))
    archive.write(issued_table(FIRST, [[1.0]] * 3, Role.CHALLENGER))
    archive.withdraw(FIRST, Role.CHALLENGER)
    assert [rival for _, rival in archive.pairs()] == [None]


def test_two_tiers_may_look_ahead_differently_far(archive: Archive) -> None:
    import pyarrow as pa

    near = forecast_rows(FIRST, [[1.0]], ("v1",), (0,))
    far = forecast_rows(FIRST, [[2.0, 3.0]], ("v2",), (2,))
    archive.write(issue(pa.concat_tables([near, far]), FIRST, Role.CHAMPION, Grain.DAY, {}))
    found = archive.read(FIRST, Role.CHAMPION)
    assert found is not None
    assert found.there.tolist() == [[True, False], [True, True]]
    assert np.isnan(found.mean[0, 1])
