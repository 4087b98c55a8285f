# devbox: what there is to do here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# `make check` vets. What go test vets by itself it would do in packages that are
# not ours, of which there are 2900.
TEST := go test -vet=off
LINT := go tool -modfile=test/tools/golangci-lint.mod golangci-lint
# Images are built without cgo; with the same setting everywhere else, what one
# build has compiled serves the next. The race detector alone needs it.
export CGO_ENABLED := 0
RACE := ./bootstrap ./bootstrap/embedded/process ./watcher/... ./serving/activator/... ./serving/autoscaler/... ./serving/controller/... ./serving/proxy/... ./serving/queue/... ./serving/registry/... ./serving/standby/... ./serving/stream/... ./serving/trace/... ./internal/...

# What calls the system itself, and compiles soon: macOS has other calls.
# `make dist` compiles all of devbox for it.
MACOS := ./bootstrap/docker ./bootstrap/embedded/network ./bootstrap/embedded/process ./cmd/devbox ./internal/compile ./internal/load ./serving/proxy ./serving/runner/internal/container ./watcher/graph ./watcher/notify

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile the devbox command to bin/devbox
	go build -o bin/devbox .

test: build ## run every test that needs no container engine, with the stories on the embedded engine
	$(TEST) -timeout 20m ./...
	CGO_ENABLED=1 $(TEST) -race -timeout 20m $(RACE)
	cd test/lab && $(TEST) ./...
	DEVBOX_ENGINE=embedded $(TEST) -tags e2e -count=1 -timeout 20m -skip '^TestGrowth' ./test/e2e
	DEVBOX_ENGINE=embedded $(TEST) -tags e2e -count=1 -timeout 10m -parallel 20 ./test/conformance
	$(TEST) -tags e2e -count=1 -timeout 10m -run '^TestUpstream$$' ./test/guest

check: ## vet, lint, and that what is generated is up to date
	go vet -tags e2e ./...
	GOOS=darwin go vet $(MACOS)
	cd test/lab && go vet ./...
	$(LINT) run
	go generate ./...
	git diff --exit-code -- serving charts

generate: ## make deepcopy functions and CRDs again from the Go types, and dashboards from the panels
	go generate ./...

lab: ## build every image of the box from packages; prints the OCI layout's path
	@cd test/lab && go run .

up: build ## bring a kind box up from the lab's images and serve the example
	layout=$$($(MAKE) -s lab) && bin/devbox up --images "$$layout" ./examples/hello

down: build ## take the box down, leaving nothing
	bin/devbox down

e2e: build ## run the stories on a real kind box made from the lab's images
	layout=$$($(MAKE) -s lab) && export DEVBOX_IMAGES="$$layout" && \
	$(TEST) -tags e2e -count=1 -timeout 40m -v -skip '^(TestKill|TestGrowth)' ./test/e2e && \
	$(TEST) -tags e2e -count=1 -timeout 40m -run '^(TestInterruptedEverywhere|TestRepairs)$$' ./bootstrap/kind

conformance: build ## hold both engines against what users of Knative know of it; docs/conformance.md has the table
	DEVBOX_ENGINE=embedded $(TEST) -tags e2e -count=1 -timeout 10m -parallel 20 -v ./test/conformance
	layout=$$($(MAKE) -s lab) && DEVBOX_IMAGES="$$layout" $(TEST) -tags e2e -count=1 -timeout 20m -parallel 20 -v ./test/conformance

dist: ## make the archives of a release in bin/dist; PLATFORMS=linux/amd64 makes that one alone
	go run ./cmd/dist -out bin/dist $(if $(PLATFORMS),-platforms $(PLATFORMS))

page: build ## play the page in a real Chromium on the embedded engine; screenshots go to bin/page
	DEVBOX_SCREENSHOTS=$(CURDIR)/bin/page $(TEST) -tags e2e -count=1 -timeout 10m ./test/page

hour: build ## leave the page open for an hour over a service under light load, and look whether it grows
	DEVBOX_PAGE_OPEN=1h $(TEST) -tags e2e -count=1 -timeout 80m -v -run '^TestHour$$' ./test/page

story: build ## play docs/story.md on a kind box; DEVBOX_STORY=write writes down what it prints; ten minutes
	layout=$$($(MAKE) -s lab) && DEVBOX_IMAGES="$$layout" $(TEST) -tags e2e -count=1 -timeout 30m -v ./test/story

mesh: build ## run the stories and the chaos stories with every pod in Istio's mesh, on a kind box; twenty minutes
	layout=$$($(MAKE) -s lab) && export DEVBOX_IMAGES="$$layout" DEVBOX_MESH=true && \
	$(TEST) -tags e2e -count=1 -timeout 20m -v -run '^(TestBox|TestObservability)$$' ./test/e2e && \
	$(TEST) -tags e2e -count=1 -timeout 40m -v ./test/chaos

context: build ## deploy to a cluster that is there already, a kind cluster of two nodes with nothing in it, and where upstream is played; six minutes
	layout=$$($(MAKE) -s lab) && DEVBOX_IMAGES="$$layout" $(TEST) -tags e2e -count=1 -timeout 20m -v ./test/guest

chaos: build ## break a box part by part and hold its answers against what may be seen, on both engines; ten minutes
	DEVBOX_ENGINE=embedded $(TEST) -tags e2e -count=1 -timeout 20m -v ./test/chaos
	layout=$$($(MAKE) -s lab) && DEVBOX_IMAGES="$$layout" $(TEST) -tags e2e -count=1 -timeout 40m -v ./test/chaos

soak: build ## work the embedded engine hard, and look whether it grows; six minutes
	$(TEST) -tags e2e -count=1 -timeout 20m -v -run '^TestGrowth' ./test/e2e

bench: build ## measure both engines, as ratios against a reference in the same run; writes docs/measurements.md
	layout=$$($(MAKE) -s lab) && export DEVBOX_IMAGES="$$layout" && \
	DEVBOX_ENGINE=embedded $(TEST) -tags e2e -count=1 -timeout 60m -run '^$$' -bench . -benchtime 1x ./test/bench && \
	$(TEST) -tags e2e -count=1 -timeout 60m -run '^$$' -bench . -benchtime 1x ./test/bench

.PHONY: help build test check generate lab up down e2e conformance dist page hour story mesh context chaos soak bench
