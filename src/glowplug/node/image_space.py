"""Memory for snapshot images: a private file system in RAM that ends with the server, and counts for its memory."""

import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).with_name("image_space_script.py")


class NoImageSpace(Exception):
    """It cannot be made here. The text is one sentence for the user."""


class ImageSpace:
    """A tmpfs at `inside`, seen only from the mount namespace that `mounts` names, and by us at `path`.

    Sandboxes begin from that namespace, so that CRIU finds the images there. It takes memory only for what is in it.
    No process runs in it: it is there as long as this one holds it open, and gone however this one ends.
    """

    def __init__(self, directory: Path) -> None:
        """Mount it on an existing directory; takes about 20 ms. Raises NoImageSpace."""
        self._open: list[int] = []
        try:
            self._make(directory)
        except OSError as error:
            self.close()
            raise NoImageSpace(
                f"The memory file system for snapshot images cannot be made: {error.strerror}."
            ) from error
        namespace, root = self._open
        self.inside = directory
        self.mounts = Path(f"/proc/{os.getpid()}/fd/{namespace}")
        self.path = Path(f"/proc/{os.getpid()}/fd/{root}{directory}")

    def _make(self, directory: Path) -> None:
        """Open the namespace and its root while the process that makes them is in there."""
        with subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), str(directory), "mode=0700,size=100%"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as maker:
            assert maker.stdout is not None
            answer = maker.stdout.readline().decode().strip()
            if answer != "ready":
                raise OSError(0, answer or "no answer")
            self._open.append(os.open(f"/proc/{maker.pid}/ns/mnt", os.O_RDONLY))
            self._open.append(os.open(f"/proc/{maker.pid}/root", os.O_PATH))

    def used(self) -> int:
        """Bytes of memory that it holds now."""
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def close(self) -> None:
        """Give it all back."""
        while self._open:
            os.close(self._open.pop())
