#!/bin/sh
# The embedded engine needs the OpenMP runtime, which small systems leave out. Install it, or say what to install.
set -eu
for folder in /lib /lib64 /usr/lib /usr/lib64 /usr/local/lib; do
  if [ -n "$(find -L "$folder" -maxdepth 2 -name 'libgomp.so.1' 2>/dev/null | head -n 1)" ]; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing libgomp1, which the engine needs"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y -o Dpkg::Use-Pty=0 libgomp1 >/dev/null
else
  echo "the engine needs the library libgomp.so.1; install it (on Debian: sudo apt-get install libgomp1)" >&2
  exit 1
fi
