#!/usr/bin/env bash
# Three nodes on this machine: three broker groups, each with a member on every node. `make cluster` starts, `make cluster-stop`
# stops. Data and logs are under run/cluster/.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CLUSTER_DIR:-run/cluster}
base=${CLUSTER_PORT:-17000} # ports of node N: base+N*100 and following
host=127.0.0.1

port() { echo $((base + $1 * 100 + $2)); }

write_node() { # one node's configuration
  local id=$1
  {
    echo "node: node-$id"
    echo "dir: $dir/node$id"
    echo "console: {listen: \"$host:$(port "$id" 80)\"}"
    echo "replication:"
    echo "  id: $id"
    echo "  nodes:"
    for n in 1 2 3; do
      echo "    - id: $n"
      echo "      listen: $host:$(port $n 1)"
      echo "      nameServer: $host:$(port $n 76)"
      echo "      grpc: $host:$(port $n 51)"
      echo "      brokers: {broker-a: \"$host:$(port $n 11)\", broker-b: \"$host:$(port $n 21)\", broker-c: \"$host:$(port $n 31)\"}"
    done
  } > "$dir/node$id.yaml"
}

start_node() {
  local id=$1
  bin/contrail serve --config "$dir/node$id.yaml" >> "$dir/node$id.log" 2>&1 &
  echo $! > "$dir/node$id.pid"
}

running() { [ -f "$dir/node$1.pid" ] && kill -0 "$(cat "$dir/node$1.pid")" 2>/dev/null; }

wait_console() {
  for _ in $(seq 300); do
    curl -fs -o /dev/null "http://$host:$(port "$1" 80)/api/v1/node" && return
    running "$1" || { tail -20 "$dir/node$1.log" >&2; exit 1; }
    sleep 0.1
  done
  echo "node $1 did not come up, see $dir/node$1.log" >&2
  exit 1
}

start() {
  mkdir -p "$dir"
  for id in 1 2 3; do
    running $id && continue
    write_node $id
    start_node $id
  done
  for id in 1 2 3; do wait_console $id; done
  cat <<TXT

  Three nodes are running: broker groups broker-a, broker-b and broker-c, each led by another node.

    name servers  $host:$(port 1 76);$host:$(port 2 76);$host:$(port 3 76)   (point your RocketMQ clients here)
    gRPC          $host:$(port 1 51);$host:$(port 2 51);$host:$(port 3 51)   (RocketMQ 5 clients)
    pages         http://$host:$(port 1 80)/  http://$host:$(port 2 80)/  http://$host:$(port 3 80)/
    logs          $dir/node1.log  $dir/node2.log  $dir/node3.log

  Try it:  kill -9 \$(cat $dir/node2.pid)     and start it again with  make cluster
           bin/contrail cluster status --broker $host:$(port 1 11)
           bin/contrail cluster add-group broker-d --broker $host:$(port 1 11)
  Stop:    make cluster-stop

TXT
}

stop() {
  for id in 1 2 3; do running $id && kill "$(cat "$dir/node$id.pid")" || true; done
  for id in 1 2 3; do
    for _ in $(seq 200); do running $id || break; sleep 0.1; done
    running $id && { echo "node $id does not stop" >&2; exit 1; }
    rm -f "$dir/node$id.pid"
  done
  echo "stopped; data is kept in $dir"
}

case ${1:-start} in
  start) start ;;
  stop) stop ;;
  node) start_node "$2" ;;
  *) echo "usage: $0 start|stop|node N" >&2; exit 2 ;;
esac
