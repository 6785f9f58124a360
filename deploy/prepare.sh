#!/usr/bin/env bash
# What the tests need beside Go, Node, a JDK and Maven: a browser, and what cuts networks. Installed only where it is missing.
set -euo pipefail
for tool in go node npm java mvn; do
  command -v $tool >/dev/null || { echo "prepare: $tool is missing: the tests need Go, Node, JDK 17 and Maven" >&2; exit 1; }
done
if ! command -v chromium >/dev/null; then
  [ "$(id -u)" = 0 ] || { echo "prepare: chromium is missing; install Debian's packages chromium and fonts-noto-cjk" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
fi
if ! command -v nft >/dev/null && [ "$(id -u)" = 0 ]; then # without it, rows of the fault matrix that cut the network are left out
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends nftables iproute2 >/dev/null || true
fi
