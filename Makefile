# The commands of this project. `make help` lists them.
SHELL := /bin/bash
CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help run demo test test-needs bench fuzz chaos check pictures deny vm

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## build and open the console on the project in this directory (or DIR=…)
	$(CARGO) run --release --locked -- $(if $(DIR),-C $(DIR))

demo: ## build and open the console on the bundled demo project
	$(CARGO) run --release --locked -- demo

test-needs: ## install what the tests need
	@missing=""; for c in dockerd:docker.io docker:docker.io busybox:busybox-static iptables:iptables python3:python3 pgrep:procps setpriv:util-linux script:bsdutils ssh:openssh-client ssh-keygen:openssh-client sshd:openssh-server faketime:faketime; do PATH="$$PATH:/usr/sbin:/sbin" command -v "$${c%%:*}" >/dev/null || missing="$$missing $${c##*:}"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) apt-get install -yq --no-install-recommends $$missing; fi

test: test-needs ## install what the tests need and run all of them
	INSTA_UPDATE=no CI=true $(CARGO) test --locked --lib --bins --test it

check: ## format, lints, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib

bench: ## measure the figures and compare them with the recorded baseline
	$(CARGO) bench --locked --bench figures

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
