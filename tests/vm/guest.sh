# shellcheck shell=bash
# What the checks of run.sh use inside of the machine; sourced before each of them.

# Runs a command until it succeeds, for so many seconds at most: those of a machine that emulates its processor beside others.
within() {
    local end=$((SECONDS + 4 * $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.5
    done
}

# The project of a user: numbers without end, something that only sleeps, and what runs into its limits.
lay() {
    mkdir -p "$HOME/shop" && cd "$HOME/shop" || return 1
    cat >tick.py <<'EOF'
import signal, sys, time

def bye(*_):
    print("bye", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, bye)
number = 0
while True:
    number += 1
    print("line", number, flush=True)
    time.sleep(0.2)
EOF
    cat >hog.py <<'EOF'
import time

time.sleep(1)
held = []
while True:
    held.append(bytearray(b"x" * (1 << 20)))
EOF
    cat >tree.sh <<'EOF'
trap '' TERM
for i in 1 2 3; do
    setsid sh -c 'trap "" TERM; setsid sleep 4001 & sleep 4002' &
done
while :; do sleep 1; done
EOF
    cat >fork.py <<'EOF'
import os, time

born = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(4003)
        born += 1
    except OSError as error:
        print("born", born, "then", error.strerror, flush=True)
        time.sleep(4004)
EOF
    cat >cas.yaml <<'EOF'
name: shop
services:
  tick: {command: python3 tick.py, restart: always, autostart: true}
  idle: {command: sleep 4000, restart: always}
  hog: {command: python3 hog.py, restart: no, mem_limit: 48M}
  fork: {command: python3 fork.py, restart: no, pids_limit: 20}
  tree: {command: sh tree.sh, restart: no, stop_grace_period: 1s}
EOF
}

# cas in the project, and the manager of its unit; those of the machine where SYSTEM is set.
c() {
    cd "$HOME/shop" || return 1
    if [ -n "${SYSTEM:-}" ]; then cas --system "$@"; else cas "$@"; fi
}
m() { if [ -n "${SYSTEM:-}" ]; then systemctl "$@"; else systemctl --user "$@"; fi; }

# What cas says of a service: its pid, phase, why…
of() {
    c status --json | awk -v name="$1" -v key="$2" '
        $1 == "\"name\":" { found = $2 == "\"" name "\"," }
        found && $1 == "\"" key "\":" { sub(/^[^:]*: /, ""); gsub(/^"|",?$|,$/, ""); print; exit }'
}
pid_of() { of "$1" pid; }
phase_of() { of "$1" phase; }
why_of() { of "$1" why; }
runs() { [ "$(phase_of "$1")" = running ]; }
both_run() { runs tick && runs idle; }
main_pid() { m show cas.service -p MainPID --value; }
unit_runs() { m is-active --quiet cas.service; }

# Keeps, and compares, the processes of the two services that stay.
keep_pids() { both_run && echo "$(pid_of tick) $(pid_of idle)" >"$HOME/pids"; }
same_pids() { both_run && [ "$(cat "$HOME/pids")" = "$(pid_of tick) $(pid_of idle)" ]; }
same_processes() {
    local tick idle
    read -r tick idle <"$HOME/pids"
    kill -0 "$tick" && kill -0 "$idle"
}

cage_of() { sed -n 's/^0:://p' "/proc/$(pid_of "$1")/cgroup"; }
told() { c events --since 1h | grep -F -- "$*" >/dev/null; }
last_line() { c logs "$1" | sed -n 's/.*line \([0-9]*\)$/\1/p' | tail -n 1; }
