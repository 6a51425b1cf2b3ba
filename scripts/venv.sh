#!/bin/sh
# Make the virtual environment in $1, on a machine that may have nothing but Python: finds a Python that is new enough
# and, where the distribution ships venv separately, installs that (as root) or names the package.
set -eu
target=$1
for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
  command -v "$python" >/dev/null 2>&1 || continue
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
      echo "installing python$version-venv, which this system ships separately"
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y -o Dpkg::Use-Pty=0 "python$version-venv" >/dev/null
    else
      echo "Python's venv module is missing; install it with: sudo apt-get install python$version-venv" >&2
      exit 1
    fi
  fi
  "$python" -m venv "$target"
  exit 0
done
echo "Glowplug needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3 ..." >&2
exit 1
