"""What can go wrong in the artifact store. Each text is one sentence or two for the user, with the remedy."""


class StoreError(Exception):
    """The store could not do it; nothing was left behind."""


class ManifestError(StoreError):
    """A manifest is not one, or says something that no manifest may say."""


class NotFound(StoreError):
    """No published artifact of that name."""


class Untrusted(StoreError):
    """A manifest is unsigned, changed since it was signed, or signed by a key that this store does not trust."""


class Unsafe(StoreError):
    """A part of the store, or of the path to it, could be changed by another user."""


class Corrupt(StoreError):
    """The bytes of an artifact are not those that its manifest names."""


class InUse(StoreError):
    """The artifact is being read."""


class StoreFull(StoreError):
    """The disk or the store's quota has no room for it."""
