"""How a text file is written: a part of a mapping, and what every reader of text asks."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Part(BaseModel):
    """What every part of a mapping is: fixed once read, and nothing that it does not know."""

    # YAML reads `region: 9` as a number. Nothing is stripped: a separator may be a tab.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Format(Part):
    """How a text file is written. Parquet files need none of it but `date` and `timezone`."""

    separator: str = Field(",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    encoding: str = "utf-8"
    date: str | None = Field(None, description="strptime format; unset: ISO 8601")
    timezone: str | None = Field(
        None, description="IANA zone of the shop: timestamps with an offset are converted to it"
    )
    quote: Literal['"', "'", ""] = Field('"', description='Empty: quotes are ordinary characters, as in `5" pipe`')
    skip_rows: int = Field(0, ge=0, description="Lines before the header")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            "".encode(name)
        except LookupError:
            raise ValueError(f"unknown encoding {name!r}; try utf-8, latin-1 or cp1252") from None
        return name

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/Vienna") from None
        return name

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        if not self.separator.isascii():
            raise ValueError(f"separator {self.separator!r} is not ASCII; write the file with another one")
        if self.separator == self.quote:
            raise ValueError(f"separator and quote are both {self.separator!r}")
        return self
