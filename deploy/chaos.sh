#!/usr/bin/env bash
# Faults against three real nodes: `make chaos` runs every row of the fault matrix and writes docs/faults.md. ROWS=7,9 runs some rows
# and only prints; SECONDS_PER_ROW (20) is how long each fault lasts. As root with ip, nft and tc each node has a network of its own;
# without them rows that cut the network are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${ROWS:-all}
table=$(mktemp)
trap 'rm -f "$table"' EXIT

if ! command -v nft >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nftables iproute2 >/dev/null || true
fi

export CONTRAIL_BINARY=${CONTRAIL_BINARY:-$PWD/bin/contrail} CHAOS_OUT=$table CHAOS_ROWS=$rows CHAOS_SECONDS=${SECONDS_PER_ROW:-20}
status=0
go test -count=1 -timeout 3h -run 'TestChaos$' -v ./broker/brokertest > "$table.log" 2>&1 || status=$?
grep -E 'chaos_test.go|^ *--- ' "$table.log" || true
cat "$table"
[ "$status" = 0 ] && rm -f "$table.log" || echo "everything that was said: $table.log"

if [ "$rows" = all ]; then
  sed -i '/^## The last whole run/q' docs/faults.md # what stands above it is written by hand
  { echo; cat "$table"; } >> docs/faults.md
  echo "written: docs/faults.md"
fi
exit $status
