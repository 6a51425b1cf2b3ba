"""Memory for snapshot images: a private file system in RAM that ends with the server, and counts for its memory."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_SCRIPT = Path(__file__).with_name("image_space_script.py")


class NoImageSpace(Exception):
    """It cannot be made here. The text is one sentence for the user."""


class ImageSpace:
    """A tmpfs at `inside`, seen only from the mount namespace that `mounts` names, and by us at `path`.

    Sandboxes begin from that namespace, so that CRIU finds the images there. It takes memory only for what is in it.
    """

    def __init__(self, directory: Path) -> None:
        """Mount it on an existing directory; takes about 20 ms. Raises NoImageSpace."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT), str(directory), "mode=0700,size=100%"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NoImageSpace(
                f"The process that holds snapshot images cannot be started: {error.strerror}."
            ) from error
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().decode().strip()
        if answer != "ready":
            self.close()
            raise NoImageSpace(f"No memory file system can be mounted for snapshot images: {answer or 'no answer'}.")
        self.inside = directory
        self.mounts = Path(f"/proc/{self._process.pid}/ns/mnt")
        self.path = Path(f"/proc/{self._process.pid}/root{directory}")

    def used(self) -> int:
        """Bytes of memory that it holds now."""
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def close(self) -> None:
        """Give it all back."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()
