# The commands of this project. `make help` lists them.
SHELL := /bin/bash
CARGO ?= cargo
# Data to score on, which are no part of this project, and the scorer of log templates.
DATA ?= ../shared/data
SCORE ?= ../shared/score/loghub_score.py
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help run demo test test-needs bench score fuzz chaos check pictures deny vm

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## build and open the console on the project in this directory (or DIR=…)
	$(CARGO) run --release --locked -- $(if $(DIR),-C $(DIR))

demo: ## build and open the console on the bundled demo project
	$(CARGO) run --release --locked -- demo

# Program or file, and the Debian package that brings it.
NEEDS := python3:python3 pgrep:procps setpriv:util-linux script:bsdutils ssh:openssh-client ssh-keygen:openssh-client sshd:openssh-server \
	faketime:faketime openssl:openssl curl:curl dockerd:docker.io docker:docker.io busybox:busybox-static iptables:iptables podman:podman \
	redis-server:redis-server redis-cli:redis-tools pg_createcluster:postgresql psql:postgresql-client mariadbd:mariadb-server mariadb:mariadb-client \
	memcached:memcached clickhouse-server:clickhouse-server rabbitmq-server:rabbitmq-server nats-server:nats-server mosquitto:mosquitto etcd:etcd-server \
	java:default-jre-headless /usr/share/zookeeper/bin/zkServer.sh:zookeeper /usr/share/java/slf4j-api.jar:libslf4j-java dnsmasq:dnsmasq-base \
	/usr/lib/python3/dist-packages/aiosmtpd:python3-aiosmtpd nginx:nginx-light haproxy:haproxy php-fpm8.2:php-fpm prometheus:prometheus \
	prometheus-node-exporter:prometheus-node-exporter influxd:influxdb docker-registry:docker-registry

test-needs: ## install what the tests need (no server of it is started)
	@missing=""; for need in $(NEEDS); do PATH="$$PATH:/usr/sbin:/sbin"; [ -e "$${need%%:*}" ] || command -v "$${need%%:*}" >/dev/null || missing="$$missing $${need##*:}"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -yq --no-install-recommends $$missing; fi

test: test-needs ## install what the tests need and run all of them
	INSTA_UPDATE=no CI=true $(CARGO) test --locked --lib --bins --test it

check: ## format, lints, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib

bench: ## measure the figures and compare them with the recorded baseline
	$(CARGO) bench --locked --bench figures

score: ## score what is learnt from logs on public data (DATA=where they are, SCORE=the scorer); says so where they are absent
	@[ -d $(DATA)/loghub ] && [ -f $(SCORE) ] || { echo "make score: no data to score on ($(DATA)/loghub or $(SCORE) is absent), so nothing was scored"; exit 0; }; \
	$(CARGO) build --release --locked --bin cas && python3 benches/score_templates.py $$($(CARGO) metadata --format-version 1 --no-deps --locked | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/cas $(DATA) $(SCORE)

fuzz: ## fuzz all that reads somebody else's file (ONLY=compose for one kind, FOR=600 seconds)
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: rustup toolchain install nightly && cargo +nightly install cargo-fuzz"; exit 2; }
	fuzz/seeds.sh
	$(if $(ONLY),CAS_FUZZ=$(ONLY)) cargo +nightly fuzz run -s none read -- -timeout=10 -rss_limit_mb=1024 -max_len=4096 -dict=fuzz/corpus/words.dict -max_total_time=$(or $(FOR),600)

chaos: ## kill engines, shims and services over and over, and count what is lost; live a week in virtual time (ROUNDS="engines=1000 shims=1000 …" for more)
	$(CARGO) bench --locked --bench chaos -- $(ROUNDS)

vm: ## try systemd, cgroup v2, logouts, a restart and a power cut in a virtual machine (DIR=where it may have 3 GB)
	@[ -n "$(DIR)" ] || { echo "make vm DIR=a directory that may take 3 GB"; exit 2; }
	$(CARGO) build --locked --bins
	tests/vm/run.sh $(DIR)

pictures: ## render the pictures of the README from a real run
	CAS_PICTURES=$(CURDIR)/assets $(CARGO) test --locked --test it pty::tour

deny: ## licences, advisories and sources of dependencies (needs cargo-deny)
	$(CARGO) deny check
