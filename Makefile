# make test   everything CI runs: format, vet, staticcheck, tests with the race detector, fuzzing
# make fuzz  each fuzz target for a few seconds; FUZZTIME=1m for longer, PKG=./gateway for one package
# make soak   an hour of mixed traffic with faults, then ten thousand idle tunnels; SOAK=10m for less
# make bench  every benchmark against the stored baseline, then the gateway as a program beside its peers
# make conformance   h2spec, the TLS scans, and testssl.sh, which takes minutes
# make image  the container image for linux/amd64 and linux/arm64, without a daemon, to image-results
# make mutation   do the policy's tests notice faults? It is part of make test, too
# make demo   the demo, kept up until interrupted
# make release         a release of this commit in dist/; KEY=FILE signs it
# make release-check   every platform twice, the second time from nothing, compared; most of an hour
# make vuln            does the program have known vulnerabilities? By the database that is pinned
# make vuln-newest     the same by the live database, over the network
GO ?= go
FUZZTIME ?= 3s
BENCH_TIME ?= 200ms
BENCH_COUNT ?= 6
BENCH_FOR ?= 5s
BENCH_ROUNDS ?= 3
SOAK ?= 1h
SOAK_RATE ?= 150
SOAK_TUNNELS ?= 10000
PLATFORMS ?= linux/amd64,linux/arm64,darwin/arm64
KEY ?=
BUILDER ?= urn:jiragate:builder:unnamed

# Modules of their own, which ./... leaves out: the etcd that tests build and run, and
# what jiragate is shipped and run with.
ETCD_MEMBER = internal/etcdlab/member
DEPLOY = deploy
VULNDB = deploy/vulndb

# What compiles a release, and packs it: another version of Go packs otherwise.
TOOLCHAIN = $(shell awk '$$1 == "toolchain" { print $$2 }' go.mod)
RELEASE = GOWORK=off GOFLAGS= GOTOOLCHAIN=$(TOOLCHAIN) $(GO) run -C $(DEPLOY) ./release

# What the tutorial of Node.js has its reader install.
NODE_MODULES = $(CURDIR)/.tools/node_modules
HAS_REQUESTS = python3 -c 'import requests' 2>/dev/null || /usr/bin/python3 -c 'import requests' 2>/dev/null

.PHONY: test check race fuzz mutation conformance bench bench-micro bench-whole bench-baseline soak demo build image tools \
  release release-check vuln vuln-newest

test: check race fuzz

build:
	$(GO) build -trimpath -o jiragate .

# The same bytes each time: deploy/container/README.md. The digest is printed.
image:
	GOWORK=off GOFLAGS= GOTOOLCHAIN=$(TOOLCHAIN) $(GO) run -C $(DEPLOY) ./container/image -o $(CURDIR)/image-results

# What tests need and Go doesn't bring: a C compiler for the race detector, ip(8) for the
# hosts of the network tests, openssl(1) and sha256sum(1) for the commands that documents
# show, a browser for pages, promtool(1) for alerts, systemd-analyze(1) for units,
# shellcheck(1) for scripts, and for the tutorials their languages. Of Debian's package
# prometheus only that program is taken, so that no Prometheus is started, now or later;
# of systemd nothing is started, either.
tools:
	$(call need,$${CC:-gcc},the race detector,gcc libc6-dev)
	$(call need,git,releases,git)
	$(call need,ip,the network tests,iproute2)
	$(call need,openssl,the commands that documents show,openssl)
	$(call need,chromium || command -v chromium-browser,the tests of pages,--install-recommends chromium)
	$(call need,systemd-analyze,the tests of units,systemd)
	$(call need,shellcheck,the scripts of deploy/terraform,shellcheck)
	$(call need,curl,the tutorials,curl)
	$(call need,npm,the tutorials,npm)
	$(call need,javac,the tutorials,default-jdk-headless)
	@$(HAS_REQUESTS) || $(call install,the tutorials,python3-requests)
	@test -d $(NODE_MODULES)/undici || ! command -v npm >/dev/null || \
	  npm install --silent --no-save --no-audit --no-fund --prefix $(dir $(NODE_MODULES)) undici@6.21.3
	@command -v promtool >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no promtool for the tests of alerts: installing it"; \
	    dir=$$(mktemp -d) && chmod 755 $$dir && apt-get update -qq && \
	      (cd $$dir && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) && \
	      install $$dir/usr/bin/promtool /usr/local/bin/; status=$$?; rm -rf $$dir; exit $$status; \
	  else \
	    echo "no promtool for the tests of alerts, and no way to install it here"; \
	  fi; }

# $(call need,PROGRAM,WHAT FOR,PACKAGES) installs packages of Debian's where a program is
# missing; tests that need it are skipped where that can't be.
need = @{ command -v $(1); } >/dev/null || $(call install,$(2),$(3))
install = { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "for $(1): installing $(2)"; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(2); \
	  else \
	    echo "for $(1) there is no $(2), and no way to install it here"; \
	  fi; }

check:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	GOWORK=off $(GO) vet -C $(ETCD_MEMBER) ./...
	GOWORK=off $(GO) mod tidy -C $(ETCD_MEMBER) -diff
	GOWORK=off $(GO) vet -C $(DEPLOY) ./...
	staticcheck=$$($(GO) tool -n staticcheck) && cd $(DEPLOY) && GOWORK=off $$staticcheck ./...
	GOWORK=off $(GO) mod tidy -C $(DEPLOY) -diff
	GOWORK=off $(GO) vet -C $(VULNDB) ./...
	GOWORK=off $(GO) mod tidy -C $(VULNDB) -diff

# Root can make network namespaces and install what is missing, so for root the tests
# that need that may not be skipped. What deploy tests runs in processes of its own, where
# the race detector sees nothing.
race: tools
	required=$$([ "$$(id -u)" = 0 ] && echo 1); \
	  for tool in NETNS CHROMIUM CONFORMANCE PROMTOOL TUTORIALS SYSTEMD SHELLCHECK; do \
	    export CI_REQUIRE_$$tool=$$required; \
	  done; \
	  TUTORIALS_NODE_MODULES=$(NODE_MODULES) $(GO) test -race -timeout 25m ./... && \
	  GOWORK=off $(GO) test -C $(DEPLOY) -timeout 25m ./...

# Each fuzz target of each package, for a few seconds; PKG=./gateway for those of one.
# A package is built once, with the instruments, for all of its targets: what `go test -fuzz`
# does for each. Go's own end of the time may show as "context deadline exceeded"
# (golang/go#75804); a finding always writes its input.
PKG ?= ./...
fuzz:
	@set -e; cache=$$($(GO) env GOCACHE)/fuzz; test=$(CURDIR)/.fuzz.test; log=$(CURDIR)/.fuzz.log; \
	for dir in $$($(GO) list -f '{{.Dir}}' $(PKG)); do \
	  grep -qs '^func Fuzz' $$dir/*_test.go || continue; cd $$dir; \
	  $(GO) test -c -fuzz . -o $$test .; pkg=$$($(GO) list .); \
	  for target in $$($$test -test.list '^Fuzz' | grep '^Fuzz'); do \
	    echo "fuzz $$pkg $$target"; \
	    $$test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 5x -test.fuzzcachedir $$cache/$$pkg > $$log 2>&1 || \
	      { grep -q 'context deadline exceeded' $$log && ! grep -q 'Failing input' $$log; } || { cat $$log; exit 1; }; \
	  done; \
	done; rm -f $$test $$log

# What internal/mutation changes, and what becomes of it, mutant by mutant.
mutation:
	$(GO) test -count=1 -timeout 45m ./internal/mutation -v

# HTTP/2 by h2spec, which the go command builds, and TLS by a scanner of our own are in
# `make test`, too. testssl.sh is only here.
conformance:
	@command -v testssl >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no testssl.sh for the TLS scan: installing it"; \
	    apt-get update -qq && apt-get install -y -qq testssl.sh; \
	  else \
	    echo "no testssl.sh for the TLS scan, and no way to install it here"; \
	  fi; }
	required=$$([ "$$(id -u)" = 0 ] && echo 1); \
	  CI_REQUIRE_CONFORMANCE=$$required $(GO) test -count=1 -timeout 45m ./internal/conformance -testssl

bench: bench-micro bench-whole

# Every benchmark, several times, in some ten minutes; benchstat tells what differs from
# internal/bench/baseline.txt by more than the noise.
bench-micro: bench-results/micro.txt
	$(GO) tool benchstat internal/bench/baseline.txt bench-results/micro.txt

# What another machine has measured says nothing here: make a baseline before a change,
# and compare after it.
bench-baseline: bench-results/micro.txt
	cp bench-results/micro.txt internal/bench/baseline.txt

.PHONY: bench-results/micro.txt
bench-results/micro.txt:
	@mkdir -p bench-results
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCH_TIME) -count $(BENCH_COUNT) -timeout 1h \
	  $$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's#^#./#') > $@ || { cat $@; exit 1; }

# Of Debian's package nginx only the program is taken, so that no nginx is started, now
# or later. Results go to bench-results and docs/performance.md.
bench-whole:
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no nginx to compare with: installing it"; \
	    dir=$$(mktemp -d) && chmod 755 $$dir && apt-get update -qq && \
	      (cd $$dir && apt-get download -qq nginx && dpkg-deb -x nginx_*.deb .) && \
	      $$dir/usr/sbin/nginx -v && install $$dir/usr/sbin/nginx /usr/local/bin/; status=$$?; rm -rf $$dir; \
	    [ $$status = 0 ] || echo "nginx can't be had: it is left out"; \
	  else \
	    echo "no nginx to compare with, and no way to install it here: it is left out"; \
	  fi; }
	@mkdir -p bench-results
	$(GO) run ./internal/bench -for $(BENCH_FOR) -rounds $(BENCH_ROUNDS) -json bench-results/whole.json -write docs/performance.md \
	  $$(test ! -f bench-results/micro.txt || echo -micro bench-results/micro.txt)

# Summaries (JSON) and the gateway's logs go to soak-results. Ten thousand tunnels need
# as many descriptors, and some: ulimit -Hn.
soak:
	@mkdir -p soak-results
	$(GO) test ./internal/soak -run '^(TestSoak|TestIdleTunnels)$$' -v -count 1 -timeout 0 \
	  -soak.for=$(SOAK) -soak.rate=$(SOAK_RATE) -soak.tunnels=$(SOAK_TUNNELS) -soak.out=$(CURDIR)/soak-results

demo:
	$(GO) run . demo

# What is in it, and how others check it: docs/supply-chain.md. How one is made:
# deploy/release/README.md.
release:
	$(RELEASE) -out $(CURDIR)/dist -platforms $(PLATFORMS) -builder $(BUILDER) $(if $(KEY),-key $(abspath $(KEY)))

release-check:
	GOWORK=off $(GO) test -C $(DEPLOY) -count=1 -timeout 2h ./release -run '^TestRelease$$' -platforms $(PLATFORMS) -cold

# The program is built as for a release, but from the working tree as it is.
VULN = mkdir -p .tools && GOFLAGS= GOTOOLCHAIN=$(TOOLCHAIN) CGO_ENABLED=0 GOAMD64=v1 $(GO) build -trimpath -o .tools/jiragate . && \
  $(RELEASE) -vuln $(CURDIR)/.tools/jiragate

vuln:
	$(VULN)

vuln-newest:
	$(VULN) -newest
