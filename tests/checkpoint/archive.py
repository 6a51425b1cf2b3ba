"""A tiny signed package archive in a folder, as apt wants it, and a key of its own."""

import gzip
import hashlib
import os
import shutil
import subprocess
from email.utils import formatdate
from pathlib import Path

PROGRAMS = ("apt-get", "dpkg-deb", "gpg", "gpgv")
missing = [program for program in PROGRAMS if shutil.which(program) is None]


class Archive:
    """Packages `criu` and, as what it depends on, `libc6`, whose loader answers as CRIU would."""

    def __init__(self, folder: Path, version: str = "4.2.1-1", says: str = "Version: 4.2.1") -> None:
        self.folder = folder
        self.folder.mkdir()
        self._home = folder / "gnupg"
        self._home.mkdir(mode=0o700)
        self.keyring = self.new_key("ours")
        loader = f"#!/bin/sh\necho '{says}'\n"
        self.packages = [
            self._package("criu", version, "Depends: libc6", {"usr/sbin/criu": "the program"}),
            self._package("libc6", "2.43-1", "", {"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": loader}),
        ]
        self.write_index()
        self.sign("ours")

    @property
    def address(self) -> str:
        return f"file:{self.folder}"

    def new_key(self, name: str) -> Path:
        self._gpg("--quick-gen-key", "--passphrase", "", f"{name} <{name}@example.org>", "ed25519", "sign", "never")
        keyring = self.folder / f"{name}.gpg"
        self._gpg("--output", str(keyring), "--export", f"{name}@example.org")
        return keyring

    def write_index(self) -> None:
        """The list of packages as the files are now, and the release file that names the list's hash; unsigned."""
        index = self.folder / "dists" / "testing" / "main" / "binary-amd64"
        index.mkdir(parents=True, exist_ok=True)
        plain = "\n".join(self._entry(package) for package in self.packages).encode()
        compressed = gzip.compress(plain)
        (index / "Packages.gz").write_bytes(compressed)
        self.release = (
            "Origin: Test\nLabel: Test\nSuite: testing\nCodename: testing\nArchitectures: amd64\nComponents: main\n"
            f"Date: {formatdate(usegmt=True)}\nSHA256:\n"
            f" {hashlib.sha256(compressed).hexdigest()} {len(compressed)} main/binary-amd64/Packages.gz\n"
            f" {hashlib.sha256(plain).hexdigest()} {len(plain)} main/binary-amd64/Packages\n"
        )

    def sign(self, name: str) -> None:
        signed = self.folder / "dists" / "testing" / "InRelease"
        signed.unlink(missing_ok=True)
        plain = self.folder / "Release"
        plain.write_text(self.release)
        self._gpg("--local-user", f"{name}@example.org", "--output", str(signed), "--clearsign", str(plain))

    def _package(self, name: str, version: str, more: str, files: dict[str, str]) -> Path:
        tree = self.folder / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Test <test@example.org>\n"
        (tree / "DEBIAN" / "control").write_text(f"{control}{more + chr(10) if more else ''}Description: {name}\n")
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True)
            (tree / path).write_text(content)
            (tree / path).chmod(0o755)
        built = self.folder / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, built], check=True, capture_output=True)
        return built

    def _entry(self, package: Path) -> str:
        control = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
        content = package.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return f"{control}Filename: {package.name}\nSize: {len(content)}\nSHA256: {digest}\n"

    def _gpg(self, *arguments: str) -> None:
        environment = os.environ | {"GNUPGHOME": str(self._home)}
        subprocess.run(["gpg", "--batch", "--quiet", *arguments], env=environment, check=True, capture_output=True)

    def close(self) -> None:
        environment = os.environ | {"GNUPGHOME": str(self._home)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False, capture_output=True)
