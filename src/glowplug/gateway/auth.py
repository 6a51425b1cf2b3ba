"""API keys: who a request comes from."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol

from glowplug.gateway.errors import ApiError
from glowplug.gateway.headers import Header, header


class NamedKey(Protocol):
    """What the gateway needs to know of a configured key."""

    @property
    def name(self) -> str: ...


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "invalid_api_key", message)


class KeyRing:
    """The configured keys, by the SHA-256 digest of each."""

    def __init__(self, keys: Mapping[bytes, NamedKey]) -> None:
        self.replace(keys)

    def replace(self, keys: Mapping[bytes, NamedKey]) -> None:
        """Let in who has one of these keys, and nobody else, from now on."""
        self._keys = tuple((digest, key.name) for digest, key in keys.items())

    def name_of(self, headers: Iterable[Header]) -> str:
        """The name of the key that a request presents as bearer token or `x-api-key`.

        Every entry is compared, in constant time, so that how long it takes says nothing about any key.

        Raises:
            ApiError: 401, no key was presented, or it is not one of ours.
        """
        presented = _presented(headers)
        if presented is None:
            raise _unauthorized(
                "This server needs an API key: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."
            )
        digest = hashlib.sha256(presented).digest()
        found = None
        for candidate, name in self._keys:
            if hmac.compare_digest(candidate, digest):
                found = name
        if found is None:
            raise _unauthorized("This API key is not known here; ask the operator of this server for one.")
        return found


def _presented(headers: Iterable[Header]) -> bytes | None:
    authorization = header(headers, b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and token.strip():
            return token.strip()
    return header(headers, b"x-api-key")
