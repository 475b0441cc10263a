"""Cells of a CSV file that a spreadsheet may open: no text of ours becomes a formula, whatever ids people have given.

A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection").
"""

import re
from typing import Final

_BLANKS: Final = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_WIDE: Final = "\uff1d\uff0b\uff0d\uff20"  # = + - @ in full width, which some spreadsheets take for the usual ones
# Both in the common part of Python's and PostgreSQL's regular expressions: literal characters only.
FORMULA: Final = f"^[{_BLANKS}]*[{_WIDE}=+@|%-]|^[\t\r\n]"
_QUOTED: Final = '[",\r\n]'


def cell(text: str | None) -> str:
    """What to write for `text`; nothing for None. Quoting (RFC 4180) is the writer's."""
    text = text or ""
    return f"'{text}" if re.search(FORMULA, text) else text


def sql_cell(name: str) -> str:
    """The same as an SQL expression of the column `name`, quoted where need be."""
    safe = f"CASE WHEN {name} ~ '{FORMULA}' THEN '''' || {name} ELSE {name} END"
    quoted = f"""'"' || replace({safe}, '"', '""') || '"'"""
    special = f"CASE WHEN {name} ~ '{_QUOTED}' THEN {quoted} ELSE {safe} END"
    return f"CASE WHEN {name} ~ '{FORMULA}|{_QUOTED}' THEN {special} ELSE {name} END"  # nearly all: one look
