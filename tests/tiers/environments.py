"""Directories that look like virtual environments with an engine in them. Nothing in them runs."""

from pathlib import Path

SITE = "lib/python3.11/site-packages"


def write_environment(prefix: Path, *, system_packages: bool = False, base: Path | None = None) -> Path:
    """An empty virtual environment; its Python."""
    python = write_python(prefix)
    home = base / "bin" if base is not None else "/nowhere"
    settings = f"home = {home}\ninclude-system-site-packages = {str(system_packages).lower()}\n"
    (prefix / "pyvenv.cfg").write_text(settings)
    return python


def write_python(prefix: Path) -> Path:
    """An interpreter with an empty folder for packages."""
    (prefix / SITE).mkdir(parents=True)
    return write_executable(prefix / "bin" / "python3.11", "\x7fELF, as far as anybody looks")


def write_executable(path: Path, text: str) -> Path:
    """A file that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def install(prefix: Path, name: str, version: str, record: str = "sha256=0,1") -> Path:
    """A distribution as an installer leaves it; its RECORD."""
    for old in (prefix / SITE).glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    metadata = prefix / SITE / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{name}/__init__.py,{record}\n")
    return metadata / "RECORD"
