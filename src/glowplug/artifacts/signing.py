"""Signatures of manifests: ed25519 keys, and whose signature this store believes.

The store's own key is made at first use and trusted. Keys of others are OpenSSH public key files (`*.pub`) that a
person put into `trusted/`. A key is shown by its OpenSSH fingerprint, as `ssh-keygen -lf FILE` prints it.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_public_key,
)

from glowplug.artifacts.errors import ManifestError, StoreError, Unsafe, Untrusted
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.private_files import names_in, read_file

_PRIVATE = "key.pem"
_PUBLIC = "key.pub"
_MAGIC = b"glowplug-manifest-1"
_CONTEXT = b"glowplug artifact manifest 1\n"
"""Signed together with the text, so that a signature made for anything else is worth nothing here."""

_KEY_LIMIT = 16 << 10
_HEADER_LIMIT = 512
"""Bytes; far above what keys and headers have."""


class Sealed(NamedTuple):
    """A manifest file taken apart: who says to have signed it, the signature, and the JSON text."""

    signer: str
    signature: bytes
    text: bytes


class Keys:
    """The store's own key and the trusted ones."""

    def __init__(self, layout: Layout) -> None:
        """Load the own key, making it if there is none. Raises StoreError, OSError."""
        self._layout = layout
        with layout.lock():
            self._own = _load_or_make(layout)
        self._own_name = fingerprint(self._own.public_key())

    def seal(self, text: bytes) -> bytes:
        """The contents of the manifest file for a manifest's JSON text."""
        signature = base64.b64encode(self._own.sign(_CONTEXT + text))
        return b"%s %s %s\n" % (_MAGIC, self._own_name.encode(), signature) + text

    def trusted(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys believed now, by fingerprint; files that are no key are left out (`faults`)."""
        return self._read_trusted()[0]

    def faults(self) -> Mapping[str, str]:
        """What is wrong with files in `trusted/`, by file name."""
        return self._read_trusted()[1]

    def check(self, sealed: Sealed, trusted: Mapping[str, Ed25519PublicKey], shown: str) -> None:
        """Raises Untrusted unless one of the trusted keys signed exactly this text."""
        key = trusted.get(sealed.signer)
        if key is None:
            raise Untrusted(
                f"{shown} was signed with the key {sealed.signer}, which is not trusted here; if you know whose it is, "
                f"put its public key ({_PUBLIC} in the folder of their store) into {self._layout.shown('trusted')} as "
                "NAME.pub and try again."
            )
        try:
            key.verify(sealed.signature, _CONTEXT + sealed.text)
        except InvalidSignature:
            raise Untrusted(f"{shown} was changed after it was signed; remove it.") from None

    def _read_trusted(self) -> tuple[dict[str, Ed25519PublicKey], dict[str, str]]:
        keys = {self._own_name: self._own.public_key()}
        faults: dict[str, str] = {}
        for name in names_in(self._layout.trusted):
            if name.endswith(".pub"):
                shown = self._layout.shown("trusted", name)
                try:
                    key = _public_key(read_file(name, self._layout.trusted, shown, _KEY_LIMIT))
                except (StoreError, OSError) as error:
                    faults[name] = str(error)
                else:
                    keys[fingerprint(key)] = key
        return keys, faults


def fingerprint(key: Ed25519PublicKey) -> str:
    """The OpenSSH fingerprint of a key, `SHA256:` and 43 characters."""
    blob = base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def unseal(contents: bytes, shown: str) -> Sealed:
    """Take the contents of a manifest file apart; nothing is believed yet. Raises ManifestError."""
    end = contents.find(b"\n", 0, _HEADER_LIMIT)
    parts = contents[: max(end, 0)].split(b" ")
    if len(parts) != 3 or parts[0] != _MAGIC:
        raise ManifestError(f"{shown} is no manifest of an artifact; remove it.")
    try:
        return Sealed(parts[1].decode("ascii"), base64.b64decode(parts[2], validate=True), contents[end + 1 :])
    except (UnicodeDecodeError, binascii.Error):
        raise ManifestError(f"{shown} has no readable signature; remove it.") from None


def _load_or_make(layout: Layout) -> Ed25519PrivateKey:
    shown = layout.shown(_PRIVATE)
    try:
        pem = read_file(_PRIVATE, layout.root, shown, _KEY_LIMIT)
    except FileNotFoundError:
        return _make(layout)
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError(f"{shown} is damaged; remove it, and what it signed will be made anew.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{shown} is no ed25519 key; remove it, and one will be made.")
    return key


def _make(layout: Layout) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" glowplug\n"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, contents in ((_PUBLIC, public), (_PRIVATE, private)):  # with the private one it exists
        layout.replace_file(name, contents)
    return key


def _public_key(text: bytes) -> Ed25519PublicKey:
    try:
        key = load_ssh_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unsafe("It is no OpenSSH public key; put a key.pub of another store there, or remove it.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Unsafe("It is no ed25519 key; put a key.pub of another store there, or remove it.")
    return key
