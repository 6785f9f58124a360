.DEFAULT_GOAL := help
.PHONY: help build run stop cluster cluster-stop test lint unit e2e fuzz sim chaos bench race clean prepare

GO      ?= go
SEEDS   ?= 2000
FROM    ?= 1
FUZZ    ?= 60s
UI      := ui/web
SOURCES := $(shell find $(UI)/src $(UI)/index.html $(UI)/package-lock.json ui/api/openapi.json -type f 2>/dev/null)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

build: bin/contrail bin/contrail-demo bin/contrail-bench ## the programs, with the console in them

run: build ## everything on this machine: broker, console, trail, demo traffic; the page's address is printed
	@deploy/run.sh

cluster: build ## three nodes on this machine: replicated broker groups; the pages' addresses are printed
	@deploy/cluster.sh start

cluster-stop: ## stops them; data stays under run/cluster
	@deploy/cluster.sh stop

test: prepare lint unit e2e ## everything that proves it, official clients and a browser included (about 20 minutes on 2 cores)
	@echo "all tests passed"

lint: $(UI)/dist/index.html ## go vet, staticcheck, gofmt, tsc, eslint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "not formatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...
	cd $(UI) && npm run --silent typecheck && npm run --silent lint

unit: $(UI)/dist/index.html ## Go and TypeScript tests; each fuzz target on its corpus and for two seconds more
	cd $(UI) && npm run --silent test
	$(GO) test -p 1 -timeout 40m ./...
	@deploy/fuzz.sh 2s

race: ## Go tests of the broker under the race detector
	$(GO) test -race -short -p 1 ./broker/... ./diagnostics/... ./ui/...

e2e: build ## the console in a real browser against a running node with demo traffic
	@deploy/e2e.sh

fuzz: ## each fuzz target for FUZZ (60s)
	@deploy/fuzz.sh $(FUZZ)

sim: ## three members over made-up disks, network and clocks: SEEDS (2000) runs from seed FROM (1); SUMMARY=file keeps the totals
	$(GO) test ./broker/sim -count=1 -timeout 0 -run TestSeeds -v -seeds $(SEEDS) -from $(FROM) $(if $(SUMMARY),-summary $(abspath $(SUMMARY)))

chaos: bin/contrail ## faults against three real nodes, as in docs/faults.md: ROWS=7,9 chooses, SECONDS_PER_ROW=20
	@deploy/chaos.sh

bench: bin/contrail bin/contrail-bench ## a message's CPU beside the floor; docs/performance.md says how to add Apache RocketMQ
	bin/contrail-bench run
	bin/contrail-bench life

clean: ## what was built here; data under run/ stays
	rm -rf bin $(UI)/dist/* $(UI)/node_modules

prepare: ## what the tests need on a fresh machine (Debian): a browser
	@deploy/prepare.sh

$(UI)/node_modules/.package-lock.json: $(UI)/package-lock.json
	cd $(UI) && npm ci --no-audit --no-fund --silent && touch node_modules/.package-lock.json

$(UI)/dist/index.html: $(UI)/node_modules/.package-lock.json $(SOURCES)
	cd $(UI) && npm run --silent build

bin/contrail: $(UI)/dist/index.html FORCE
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o $@ ./cmd/contrail

bin/contrail-bench: FORCE
	$(GO) build -o $@ ./cmd/contrail-bench

bin/contrail-demo: FORCE
	cd cmd/contrail-demo && $(GO) build -o ../../$@ .

FORCE:
