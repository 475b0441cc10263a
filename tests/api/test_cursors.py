"""Where a page ended: whatever the ids are, the service takes back what it gave."""

import pytest

from shelfops_api.cursors import LONGEST, Cursor


@pytest.mark.parametrize("letter", ["x", "я", "語", "🥐", '"', "\x01", "\x7f"])
def test_a_cursor_of_the_longest_ids_is_one_that_the_routes_take(letter: str) -> None:
    cursor = Cursor("v12345+v12344@6123abcdef1234", 200 * letter, 200 * letter)
    assert len(str(cursor)) <= LONGEST
    assert Cursor.read(str(cursor), "v12345+v12344") == cursor
