"""From where browsers may talk to the service: its own pages, and the origins that the settings name."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_SOCKET: Final = "local"
"""Stands for the address of a Unix socket, which has none."""


def address_of(connection: HTTPConnection) -> str:
    """The caller's address."""
    return connection.client.host if connection.client and connection.client.host else _SOCKET


def is_this_machine(host: str) -> bool:
    """Is it a loopback address, or a name of one?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in (_SOCKET, "localhost")


def is_named_as_this_machine(connection: HTTPConnection) -> bool:
    """Did the caller mean this machine? A page whose name was made to point here (DNS rebinding) says another host."""
    try:
        named = urlsplit(f"//{connection.headers.get('host', '')}").hostname
    except ValueError:  # such as "[": no browser says that, and it names nobody
        return False
    return named is None or is_this_machine(named)


def is_foreign(connection: HTTPConnection, allowed: frozenset[str]) -> bool:
    """Does a browser say that a page of neither this host nor an allowed origin is behind the request?"""
    origin = connection.headers.get("origin")
    if origin is None or origin in allowed:
        return False
    try:
        return urlsplit(origin).netloc != connection.headers.get("host")
    except ValueError:
        return True
