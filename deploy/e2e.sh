#!/usr/bin/env bash
# The console in a real browser against a running node with demo traffic; SHOTS keeps the screenshots.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
free() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
names=$(free); broker=$(free); grpc=$(free); page=$(free)
cat > "$dir/contrail.yaml" <<YAML
dir: $dir/data
nameServer: {listen: "127.0.0.1:$names"}
remoting: {listen: "127.0.0.1:$broker", advertise: "127.0.0.1:$broker"}
grpc: {listen: "127.0.0.1:$grpc"}
console: {listen: "127.0.0.1:$page"}
transactions: {timeout: 45s}
YAML
bin/contrail serve --config "$dir/contrail.yaml" > "$dir/contrail.log" 2>&1 & server=$!
demo=
stop() { [ -z "$demo" ] || kill $demo 2>/dev/null || true; kill $server 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
for i in $(seq 600); do
  curl -fsS "http://127.0.0.1:$page/api/v1/trail" 2>/dev/null | grep -q '"storeUp":true' && break
  kill -0 $server 2>/dev/null || break
  sleep 0.5
done
curl -fsS "http://127.0.0.1:$page/api/v1/trail" | grep -q '"storeUp":true' || { cat "$dir/contrail.log" >&2; exit 1; }
bin/contrail-demo -name-server "127.0.0.1:$names" -grpc "" > "$dir/demo.log" 2>&1 & demo=$!
cd ui/web
npm run --silent e2e:states
BASE_URL="http://127.0.0.1:$page" GRPC="127.0.0.1:$grpc" SHOTS="${SHOTS:-$dir/shots}" npm run --silent e2e || { tail -50 "$dir/contrail.log" "$dir/demo.log" >&2; exit 1; }
