#!/usr/bin/env bash
# Everything on this machine, for a first look: `make run`. Ctrl-C ends it; data stays under run/.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p run
bin/contrail serve --dir run/data > run/contrail.log 2>&1 & server=$!
demo=
stop() { trap - EXIT INT TERM; [ -z "$demo" ] || kill "$demo" 2>/dev/null || true; kill "$server" 2>/dev/null || true; wait; echo "stopped; data is kept in run/data, the log is run/contrail.log"; exit 0; }
trap stop EXIT INT TERM
for i in $(seq 300); do
  grep -q 'msg="console listens"' run/contrail.log && break
  kill -0 $server 2>/dev/null || { cat run/contrail.log >&2; exit 1; }
  sleep 0.1
done
page=$(grep -o 'page=http://[^ ]*' run/contrail.log | tail -1 | cut -d= -f2)
ns=$(curl -fsS "${page}api/v1/node" | grep -o '"nameServer":"[^"]*"' | cut -d'"' -f4)
broker=$(grep -o 'clientsDial=[^ ]*:10911' run/contrail.log | tail -1 | cut -d= -f2)
for t in returns:fifo vouchers:delay gifts:transaction; do # gRPC clients want to be told what a topic takes
  bin/contrail topic create --broker "$broker" "${t%%:*}" --type "${t##*:}" >> run/demo.log
done
bin/contrail group create --broker "$broker" refunds --ordered --max-retries 2 --backoff 2s,5s >> run/demo.log
bin/contrail-demo -name-server "$ns" >> run/demo.log 2>&1 & demo=$!
cat <<TXT

  Contrail is running.

    page          $page
    name server   $ns      (point your own RocketMQ clients here)
    gRPC          127.0.0.1:8081      (RocketMQ 5 clients)
    log           run/contrail.log

  What to look at
    Overview      rates, who is behind (shipping is slow on purpose), the topic that nobody reads
    Messages      search topic orders, open any message: its life from send to acknowledgement
    Scheduled     reminders that wait; some are cancelled when the customer pays
    Dead letters  invoices that can never be written; open one: its attempts, and how to resend it
    Groups        loyalty comes and goes; its queues and members follow

  The first start fetches the trail engine's library (167 MB); until it is there the page says so and nothing is lost.
  Ctrl-C ends it.

TXT
wait -n $server $demo || true
trap - EXIT INT TERM
echo "ended by itself; see run/contrail.log and run/demo.log" >&2
kill $server $demo 2>/dev/null || true
exit 1
