"""What readers know of an embedded server that they did not start."""

from collections.abc import Callable
from pathlib import Path

from shelfops_pipeline.store.embedded import embedded_postgres, running_url


def test_a_server_has_a_url_while_somebody_uses_it(embedded_home: Callable[[str], Path]) -> None:
    home = embedded_home("retailer")
    assert running_url(home) is None
    assert not (home / "postgres").exists(), "asking starts nothing"
    with embedded_postgres(home) as url:
        assert running_url(home) == url
        note = next(iter((home / "postgres").glob("server.json")), None)
        assert note is not None or (home / "postgres.json").exists()
    assert running_url(home) is None
