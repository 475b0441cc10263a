"""The API keys in memory, read anew every few seconds: a request needs no database to be let in."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn

import structlog
from sqlalchemy.exc import InternalError, ProgrammingError, SQLAlchemyError

from shelfops_api.settings import ApiSettings
from shelfops_api.warehouse import Warehouse, WarehouseUnavailable
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.api_keys import USE_NOTED_EVERY, KeyRecord, list_keys, note_use
from shelfops_pipeline.store.engine import reason_of

_READ_AT_MOST_EVERY: Final = 1.0
"""Strangers with made-up key ids cannot make the warehouse busier than this."""
_PATIENCE_SECONDS: Final = 3.0

log = structlog.get_logger(__name__)


class KeyRing:
    """The valid keys of one retailer, as last read.

    While the warehouse is away the last reading stays good for `api_key_grace_seconds`.
    """

    def __init__(self, warehouse: Warehouse, settings: ApiSettings) -> None:
        self._warehouse, self._retailer = warehouse, settings.retailer
        self._every, self._grace = settings.api_key_refresh_seconds, settings.api_key_grace_seconds
        self._keys: Mapping[str, KeyRecord] = {}
        self._read_at = self._tried_at = float("-inf")
        self._trouble: Exception | None = None
        self._reading: asyncio.Task[None] | None = None
        self._used: set[str] = set()
        self._may_note_use = True

    async def watch(self) -> NoReturn:
        """Read the keys every so often, for as long as the service runs."""
        while True:
            await self._read()
            if self._used and self._may_note_use:
                used, self._used = self._used, set()
                await asyncio.to_thread(self._note_use, used)
            await asyncio.sleep(self._every)

    async def get(self, key_id: str) -> KeyRecord | None:
        """The valid key of that id; None where there is none. Raises WarehouseUnavailable if that cannot be known.

        An id that is not known may have been issued a moment ago: then the keys are read again.
        """
        record = self._keys.get(key_id)
        if record is None or self._is_stale():
            if time.monotonic() - self._tried_at > _READ_AT_MOST_EVERY or self._reading is not None:
                await self._read()
            if self._is_stale():
                raise WarehouseUnavailable("The API keys cannot be read") from self._trouble
            record = self._keys.get(key_id)
        now = datetime.now(UTC)
        if record is None or (record.expires_at is not None and record.expires_at <= now):
            return None
        if self._may_note_use and (record.last_used_at is None or now - record.last_used_at > USE_NOTED_EVERY):
            self._used.add(key_id)
        return record

    def _is_stale(self) -> bool:
        return time.monotonic() - self._read_at > self._grace

    async def _read(self) -> None:
        """One reading at a time: whoever comes while it lasts waits for the same one, and not for ever."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._load())
        reading = self._reading
        await asyncio.wait({reading}, timeout=_PATIENCE_SECONDS)
        if reading.done():
            reading.result()  # raises what nobody foresaw

    async def _load(self) -> None:
        self._tried_at = time.monotonic()
        try:
            records = await asyncio.to_thread(self._fetch)
            self._keys, self._read_at = {record.key_id: record for record in records}, self._tried_at
            self._trouble = None
        except (ShelfOpsError, SQLAlchemyError) as error:
            self._trouble = error
            log.warning("api_keys_not_read", reason=reason_of(error))
        finally:
            self._reading = None

    def _fetch(self) -> list[KeyRecord]:
        return list_keys(self._warehouse.engine(), self._retailer, only_valid=True)

    def _note_use(self, used: set[str]) -> None:
        """Best effort: the keys work as well where the API's role may not write this down, and is not tried again."""
        try:
            note_use(self._warehouse.engine(), used)
        except (ShelfOpsError, SQLAlchemyError) as error:
            self._may_note_use = not isinstance(error, ProgrammingError | InternalError)  # no right to, or read-only
            log.warning("use_of_api_keys_not_noted", reason=reason_of(error))
