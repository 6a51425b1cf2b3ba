"""Which paths and link targets an artifact may hold: none that could lead outside the folder it is written to."""

MAX_PATH = 4095
MAX_NAME = 255
"""Bytes; PATH_MAX (without its NUL) and NAME_MAX of Linux."""


def fault_of_path(path: str) -> str | None:
    """What is wrong with the path of an entry, or None."""
    if not path or len(path.encode(errors="replace")) > MAX_PATH or "\0" in path:
        return "is empty, too long or holds a NUL"
    if path.startswith("/"):
        return "is absolute"
    for name in path.split("/"):
        if name in ("", ".", ".."):
            return "is not in its plain form, without '.', '..' and double slashes"
        if len(name.encode(errors="replace")) > MAX_NAME:
            return "has a name that is too long"
    return None


def fault_of_target(path: str, target: str) -> str | None:
    """What is wrong with the target of the symbolic link at `path`, or None.

    `..` may only come first. Then what the kernel makes of it is what the text says: the link's own folders are real
    ones, and every link met later obeys the same rule, so no chain of links leaves the tree.
    """
    if not target or len(target.encode(errors="replace")) > MAX_PATH or "\0" in target:
        return "is empty, too long or holds a NUL"
    if target.startswith("/"):
        return "is absolute"
    names = [name for name in target.split("/") if name not in ("", ".")]
    ups = next((index for index, name in enumerate(names) if name != ".."), len(names))
    if ups > path.count("/"):
        return "leads outside the artifact"
    if ".." in names[ups:]:
        return "has '..' after a name"
    return None
