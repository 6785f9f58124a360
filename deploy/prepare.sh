#!/usr/bin/env bash
# What the tests need beside Go, Node, a JDK, Maven and Python: a browser, and what cuts networks. Installed only where it is missing.
set -euo pipefail
for tool in go node npm java mvn python3; do
  command -v $tool >/dev/null || { echo "prepare: $tool is missing: the tests need Go, Node, JDK 17, Maven and Python 3" >&2; exit 1; }
done
if ! command -v chromium >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "prepare: chromium is missing; install Debian's packages chromium and fonts-noto-cjk" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
fi
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "prepare: Python's venv is missing; install Debian's package python3-venv" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
if ! command -v nft >/dev/null && [ "$(id -u)" = 0 ]; then # without it, rows of the fault matrix that cut the network are left out
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends nftables iproute2 >/dev/null || true
fi
