# make test   everything CI runs: format, vet, staticcheck, tests with the race detector, fuzzing
# make soak   an hour of mixed traffic with faults, then ten thousand idle tunnels; SOAK=10m for less
# make bench  every benchmark against the stored baseline, then the gateway as a program beside its peers
# make conformance   h2spec, the TLS scans, and testssl.sh, which takes minutes
# make demo   the demo, kept up until interrupted
GO ?= go
FUZZTIME ?= 3s
BENCH_TIME ?= 200ms
BENCH_COUNT ?= 6
BENCH_FOR ?= 5s
BENCH_ROUNDS ?= 3
SOAK ?= 1h
SOAK_RATE ?= 150
SOAK_TUNNELS ?= 10000

# Modules of their own, which ./... leaves out: the etcd that tests build and run, and
# what jiragate is shipped and run with.
ETCD_MEMBER = internal/etcdlab/member
DEPLOY = deploy

# What the tutorial of Node.js has its reader install.
NODE_MODULES = $(CURDIR)/.tools/node_modules
HAS_REQUESTS = python3 -c 'import requests' 2>/dev/null || /usr/bin/python3 -c 'import requests' 2>/dev/null

.PHONY: test check race fuzz conformance bench bench-micro bench-whole bench-baseline soak demo build tools

test: check race fuzz

build:
	$(GO) build -trimpath -o jiragate .

# The race detector needs a C compiler, the hosts of the network tests ip(8), the test
# of a report's page openssl(1), the tests of the console and of the public page a
# browser, those of the alerts promtool(1), those of systemd's units systemd-analyze(1),
# those of the tutorials their languages: none comes with Go. Of Debian's package
# prometheus only that program is taken, so that no Prometheus is started, now or later.
tools:
	@command -v $${CC:-gcc} >/dev/null || { \
	  echo "no C compiler for the race detector: installing one"; \
	  apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }
	@command -v ip >/dev/null || { \
	  echo "no ip(8) for the network tests: installing iproute2"; \
	  apt-get update -qq && apt-get install -y -qq iproute2; }
	@command -v openssl >/dev/null || { \
	  echo "no OpenSSL for the commands that documents show: installing it"; \
	  apt-get update -qq && apt-get install -y -qq openssl; }
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no browser for the tests of pages: installing Chromium"; \
	    apt-get update -qq && apt-get install -y -qq chromium; \
	  else \
	    echo "no Chromium for the tests of pages, and no way to install it here"; \
	  fi; }
	@command -v curl >/dev/null && command -v npm >/dev/null && command -v javac >/dev/null && \
	  { $(HAS_REQUESTS); } || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no curl, Node.js, Java or Python with requests for the tutorials: installing them"; \
	    apt-get update -qq; missing=; \
	    command -v curl >/dev/null || missing=curl; \
	    command -v npm >/dev/null || missing="$$missing npm"; \
	    command -v javac >/dev/null || missing="$$missing default-jdk-headless"; \
	    $(HAS_REQUESTS) || missing="$$missing python3-requests"; \
	    apt-get install -y -qq --no-install-recommends $$missing; \
	  else \
	    echo "no curl, Node.js, Java or Python with requests for the tutorials, and no way to install them here"; \
	  fi; }
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
	@command -v systemd-analyze >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no systemd-analyze for the tests of units: installing systemd, which nobody starts"; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd; \
	  else \
	    echo "no systemd-analyze for the tests of units, and no way to install it here"; \
	  fi; }
	@command -v shellcheck >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "no shellcheck for the scripts of deploy/terraform: installing it"; \
	    apt-get update -qq && apt-get install -y -qq shellcheck; \
	  else \
	    echo "no shellcheck for the scripts of deploy/terraform, and no way to install it here"; \
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

# Root can make network namespaces and install a browser and promtool, so for root the
# tests that need them may not be skipped.
race: tools
	required=$$([ "$$(id -u)" = 0 ] && echo 1); \
	  CI_REQUIRE_NETNS=$$required CI_REQUIRE_CHROMIUM=$$required CI_REQUIRE_CONFORMANCE=$$required CI_REQUIRE_PROMTOOL=$$required \
	  CI_REQUIRE_TUTORIALS=$$required TUTORIALS_NODE_MODULES=$(NODE_MODULES) \
	  $(GO) test -race -timeout 15m ./... && \
	  CI_REQUIRE_SYSTEMD=$$required CI_REQUIRE_SHELLCHECK=$$required \
	  GOWORK=off $(GO) test -C $(DEPLOY) -race -timeout 15m ./...

# Each fuzz target of each package, for a few seconds. Go's own end of the time
# may show as "context deadline exceeded" (golang/go#75804); a finding always
# writes its input.
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg > .fuzz.log 2>&1 || \
	      { grep -q 'context deadline exceeded' .fuzz.log && ! grep -q 'Failing input' .fuzz.log; } || { cat .fuzz.log; exit 1; }; \
	  done; \
	done; rm -f .fuzz.log

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
