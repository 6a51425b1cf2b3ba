"""A real S3 server on the loopback interface: moto's, in a process of its own."""

import re
import subprocess
import sys
import threading
import urllib.request
from typing import Self


class S3Server:
    """Runs while inside. `environment` is what tells a client of it."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self._address = found[0]
                break
        else:
            raise AssertionError("the S3 server did not start")
        self._reading = threading.Thread(target=self._process.stderr.read)  # so that it never waits to write
        self._reading.start()
        self.environment = {
            "AWS_ENDPOINT": self._address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_REGION": "us-east-1",
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()

    def make_bucket(self, name: str) -> str:
        """Make a bucket; its address."""
        request = urllib.request.Request(f"{self._address}/{name}", method="PUT")
        with urllib.request.urlopen(request):
            return f"s3://{name}"
