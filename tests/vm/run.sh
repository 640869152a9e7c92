#!/usr/bin/env bash
# Tries cas on a whole machine of its own: systemd, cgroup v2 alone, users who log in and out, a restart and a power cut. See README.md.
set -euo pipefail

usage() {
    echo "usage: tests/vm/run.sh DIRECTORY [GROUP...]" >&2
    echo "groups: user cgroups scope damage session system logout reboot power (all of them where none is named)" >&2
    exit 2
}

[ $# -ge 1 ] || usage
mkdir -p "$1"
vm=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
bins=${CAS_BIN:-$here/../../target/debug}
qemu=${QEMU:-qemu-system-x86_64}
port=${VM_PORT:-2222}
accel=${VM_ACCEL:-tcg,thread=multi}
read -ra more <<<"${QEMU_ARGS:-}"
passed=0 failed=0 qemu_pid=

need() { command -v "$1" >/dev/null || { echo "run.sh needs $1: apt-get install $2" >&2; exit 2; }; }
need "$qemu" "qemu-system-x86 (or name it: QEMU=…)"
need mmdebstrap mmdebstrap
need mke2fs e2fsprogs
need ssh openssh-client
for program in cas cas-shim; do
    [ -x "$bins/$program" ] || { echo "no $bins/$program: cargo build first, or name the directory: CAS_BIN=…" >&2; exit 2; }
done

# --- the machine -----------------------------------------------------------------------------------------------------

packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,linux-image-cloud-amd64,initramfs-tools,python3-minimal,procps,openssh-server,iproute2,e2fsprogs

# The root file system, once: about 350 MB.
make_root() {
    [ -e "$vm/root.tar" ] && return
    echo "making a Debian root in $vm (once)"
    [ -e "$vm/key" ] || ssh-keygen -q -t ed25519 -N '' -C cas-vm -f "$vm/key"
    mkdir -p "$vm/files"
    printf '[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\n' >"$vm/files/10-wired.network"
    cat >"$vm/files/customize" <<'EOF'
#!/bin/sh
set -e
root=$1
files=$(dirname "$0")
echo vm >"$root/etc/hostname"
echo '127.0.0.1 localhost vm' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/network" "$root/var/log/journal"
cp "$files/10-wired.network" "$root/etc/systemd/network/"
for user in root ann bob eve; do
    home=/root
    [ "$user" = root ] || { chroot "$root" useradd -m -s /bin/bash "$user"; home=/home/$user; }
    mkdir -p "$root$home/.ssh"
    cp "$files/../key.pub" "$root$home/.ssh/authorized_keys"
    chmod 700 "$root$home/.ssh"
    chmod 600 "$root$home/.ssh/authorized_keys"
    chroot "$root" chown -R "$user:" "$home/.ssh"
done
chroot "$root" systemctl enable systemd-networkd ssh >/dev/null 2>&1
EOF
    chmod +x "$vm/files/customize"
    mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="$vm/files/customize" bookworm "$vm/root.new.tar"
    mv "$vm/root.new.tar" "$vm/root.tar"
}

# A fresh disk, every time.
make_disk() {
    rm -rf "$vm/root" "$vm/disk"
    mkdir "$vm/root"
    tar -C "$vm/root" -xf "$vm/root.tar"
    cp "$vm"/root/boot/vmlinuz-* "$vm/vmlinuz"
    cp "$vm"/root/boot/initrd.img-* "$vm/initrd"
    install -m 755 "$bins/cas" "$bins/cas-shim" "$vm/root/usr/local/bin/"
    if command -v strip >/dev/null; then strip -S "$vm/root/usr/local/bin/cas" "$vm/root/usr/local/bin/cas-shim"; fi
    install -D -m 644 "$here/guest.sh" "$vm/root/usr/local/lib/cas-guest.sh"
    truncate -s 1500M "$vm/disk"
    mke2fs -q -t ext4 -d "$vm/root" "$vm/disk"
    rm -rf "$vm/root"
}

boot() {
    "$qemu" "${more[@]}" -accel "$accel" -cpu "${VM_CPU:-max}" -m 1024 -smp 1 -kernel "$vm/vmlinuz" -initrd "$vm/initrd" \
        -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off" -drive "file=$vm/disk,format=raw,if=virtio" \
        -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n,romfile= -device virtio-rng-pci \
        -display none -monitor none -serial "file:$vm/console" </dev/null >"$vm/qemu.log" 2>&1 &
    qemu_pid=$!
    answers 900 || { echo "the machine does not come up; see $vm/console" >&2; exit 1; }
}

# As a power cut: nothing is written any more.
cut_power() {
    kill -9 "$qemu_pid"
    wait "$qemu_pid" 2>/dev/null || true
    qemu_pid=
}

over() {
    [ -z "$qemu_pid" ] || cut_power
    echo "$passed passed, $failed failed"
}
trap over EXIT

# Runs the lines that follow as that user, in a session of its own as sshd gives it.
guest() {
    local user=$1
    shift
    ssh -q -p "$port" -i "$vm/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=30 -o LogLevel=ERROR \
        "$user@127.0.0.1" ". /usr/local/lib/cas-guest.sh; $*"
}

boot_id() { timeout 20 ssh -q -p "$port" -i "$vm/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 root@127.0.0.1 cat /proc/sys/kernel/random/boot_id 2>/dev/null; }

# Waits so many seconds for a machine in another boot than the one named.
answers() {
    local end=$((SECONDS + $1)) id
    while [ "$SECONDS" -lt "$end" ]; do
        id=$(boot_id) && [ -n "$id" ] && [ "$id" != "${2:-}" ] && return
        sleep 1
    done
    return 1
}

reboot() {
    local id began=$SECONDS
    id=$(boot_id)
    guest root systemctl reboot || true
    answers 900 "$id" || { echo "the machine does not come back; see $vm/console" >&2; exit 1; }
    echo "  (back after $((SECONDS - began)) s)"
}

# --- checks ----------------------------------------------------------------------------------------------------------

# check WHAT USER SHELL-LINES: passes where they end with 0.
check() {
    local what=$1 user=$2
    shift 2
    if guest "$user" "$@" >"$vm/last" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $what"
    else
        failed=$((failed + 1))
        echo "FAIL $what"
        sed 's/^/     | /' "$vm/last" | tail -n 30
    fi
}

# The life of a unit, for ann or for root: what both have to see. $1 who, $2 user, $3 what comes before each check.
unit_checks() {
    local who=$1 user=$2 with=$3
    check "$who: a daemon that runs already hands over to the unit, with its services" "$user" \
        "$with lay; c up --detach tick idle && within 60 keep_pids && c daemon install && within 60 unit_runs && within 60 same_pids && m is-enabled cas.service"
    check "$who: cas daemon status is about the unit's daemon" "$user" \
        "$with within 30 unit_runs; c daemon status --json | grep -E '\"pid\": *'\$(main_pid)"
    check "$who: systemd restarts a killed daemon, and it takes over the same processes" "$user" \
        "$with old=\$(main_pid); kill -9 \$old; anew() { unit_runs && [ \$(main_pid) != \$old ]; }; within 90 anew && within 60 same_pids"
    check "$who: systemctl restart ends no service" "$user" "$with m restart cas.service && within 60 same_pids"
    check "$who: systemctl stop ends no service, and it is said that no engine looks after them" "$user" \
        "$with m stop cas.service && same_processes && why_of tick | grep 'without an engine' && m start cas.service && within 60 same_pids"
    check "$who: cas daemon restart goes by the unit" "$user" \
        "$with c daemon restart && within 30 unit_runs && within 60 same_pids && c daemon status --json | grep -E '\"pid\": *'\$(main_pid)"
    check "$who: cas daemon stop is final, until cas daemon start" "$user" \
        "$with c daemon stop --keep && sleep 4 && ! unit_runs && same_processes && c daemon start && within 30 unit_runs && within 60 same_pids"
}

user_group() {
    check "user: linger is explained, and root can enable it" root "loginctl enable-linger ann && test -e /var/lib/systemd/linger/ann"
    unit_checks user ann ""
    check "user: install twice is once, and names linger" ann "c daemon install 2>&1 | grep enable-linger && within 60 same_pids"
    check "user: uninstall removes the unit and ends no service" ann \
        "c daemon uninstall && ! test -e ~/.config/systemd/user/cas.service && same_processes && c daemon install && within 60 same_pids"
}

cgroups_group() {
    for user in ann root; do
        local place="user@"
        [ "$user" = ann ] || place="^/cas/"
        check "cgroups: $user: pure v2, and a service is in a cgroup of its own" "$user" \
            "[ \$(stat -fc %T /sys/fs/cgroup) = cgroup2fs ] && lay; c up --detach tick; within 60 runs tick; c restart tick; within 60 runs tick; cage_of tick | grep '$place' | grep 'tick.svc$'"
        check "cgroups: $user: out of memory is seen, with limit and peak" "$user" \
            "c start hog; ended() { [ \$(phase_of hog) = exited ] || [ \$(phase_of hog) = gave-up ] || [ \$(phase_of hog) = failed ]; }; within 60 ended; c events --since 10m | grep hog | tail; told 'for memory: limit 48 MiB, peak'"
        check "cgroups: $user: no more processes than its limit" "$user" \
            "c start fork; said() { c logs fork | grep 'born 19 then'; }; within 60 said && grep -x 20 /sys/fs/cgroup\$(cage_of fork)/pids.max && c stop fork"
        check "cgroups: $user: a tree that ignores TERM is gone after its stop" "$user" \
            "c start tree; grown() { [ \$(pgrep -u $user -c -f 'sleep 400[12]') -ge 6 ]; }; within 60 grown && cage=\$(cage_of tree) && c stop tree && ! pgrep -u $user -f 'sleep 400[12]' && [ ! -s /sys/fs/cgroup\$cage/cgroup.procs ]"
        check "cgroups: $user: memory is the kernel's own figure, within 4 MB" "$user" \
            "close() { m=\$(of tick memory_bytes); k=\$(cat /sys/fs/cgroup\$(cage_of tick)/memory.current); echo \$m \$k; [ \$m -lt \$((k + 4000000)) ] && [ \$k -lt \$((m + 4000000)) ]; }; within 10 close"
        [ "$user" = ann ] || check "cgroups: root: all is stopped, and no cgroup is left" root "c down; c daemon stop --down; within 10 test ! -d /sys/fs/cgroup/cas"
    done
}

scope_group() {
    check "scope: the stop of a scope in which the daemon was started ends no service" ann \
        "c daemon stop --keep; systemctl --user mask --runtime cas.service 2>/dev/null; c daemon uninstall; systemd-run --user --scope --unit=try -p TimeoutStopSec=2 -q cas daemon start && within 60 keep_pids && systemctl --user stop try.scope && sleep 4 && same_processes"
    check "scope: the next daemon takes over what a scope's stop left without shims" ann \
        "c daemon install && within 60 same_pids && n=\$(last_line tick) && more() { [ \$(last_line tick) -gt \$n ]; } && within 30 more"
}

damage_group() {
    check "damage: a journal cut short is told, and what runs is taken over" ann \
        "within 60 keep_pids; m stop cas.service; j=\$(ls ~/.local/state/cas/projects/shop-*/journal); truncate -s -20 \$j; m start cas.service; within 60 same_pids && c events --since 2m | grep -i -E 'journal|noted|record|cut|damaged'"
    check "damage: a list of projects cut short is put aside and told" ann \
        "m stop cas.service; truncate -s -10 ~/.local/state/cas/care.json; m start cas.service; aside() { ls ~/.local/state/cas/care.json.damaged-*; }; within 30 aside && grep 'put aside' ~/.local/state/cas/cas.log && c up --detach tick idle && within 60 same_pids"
    check "damage: a stale socket and lock do not matter" ann \
        "m kill -s KILL cas.service; m stop cas.service; d=\$XDG_RUNTIME_DIR/cas; rm -f \$d/daemon.sock; echo 1 >\$d/daemon.lock; : >\$d/daemon.sock; m start cas.service; within 60 same_pids"
}

session_group() {
    check "session: without delegation services are held by process group" eve \
        "lay; c up --detach tick && within 60 runs tick && cage_of tick | grep 'session-.*scope'"
    check "session: what is started from a session outlives it, and it is said that limits are not enforced" eve \
        "within 60 runs tick && { c check; c status; c status --json; } 2>&1 | grep 'not enforced'"
}

system_group() {
    unit_checks system root "SYSTEM=1;"
}

logout_group() {
    check "logout: bob, who does not linger, has the unit" bob "lay; c daemon install; c up --detach tick idle && within 60 both_run"
    sleep 25
    check "logout: after the last session nothing of bob's is left" root "none() { ! pgrep -u bob; }; within 60 none"
    check "logout: his services were asked to end, and begin again when he comes back" bob \
        "within 90 both_run && c logs tick | grep bye && told 'goes down' && ! told crashed && ! told 'exit status unknown'"
}

# $1: what ends the machine.
after_the_end() {
    local how=$1
    check "$how: what ann wanted runs again" ann "within 120 both_run && why_of idle | grep 'started again'"
    check "$how: so does what root wanted" root "SYSTEM=1; within 120 both_run && why_of idle | grep 'started again'"
    check "$how: nothing is said to have crashed, and no stranger is signalled" ann "! c events --since 3m | grep -E 'crashed|may be an earlier run'"
}

reboot_group() {
    check "reboot: a session's daemon runs, too" eve "lay; c up --detach tick; within 60 runs tick"
    check "reboot: all of ann's and root's runs" ann "c up --detach tick idle; within 60 both_run"
    check "reboot: all of ann's and root's runs" root "SYSTEM=1; c up --detach tick idle; within 60 both_run"
    reboot
    after_the_end reboot
    check "reboot: services were asked to end before" ann "c logs tick | grep bye"
    check "reboot: nothing had to be killed to go down" root \
        "! journalctl -b -1 --no-pager | grep -E 'Killing process .*(cas|python3|sleep)|timed out. (Killing|Terminating)'"
    check "reboot: an engine that comes back to a session's services says that the machine ended them" eve \
        "c up --detach tick; within 60 runs tick; told 'when the machine went down'"
}

power_group() {
    check "power: all of ann's and root's runs" ann "c up --detach tick idle; within 60 both_run"
    check "power: all of ann's and root's runs" root "SYSTEM=1; c up --detach tick idle; within 60 both_run"
    local before
    before=$(guest ann last_line tick)
    sleep 40
    cut_power
    boot
    after_the_end power
    check "power: what was written until half a minute before is there" ann "c logs tick | grep -E 'line $before\$'"
    check "power: the story goes on" ann "told 'restart' && c daemon status"
}

make_root
make_disk
boot
guest root 'uname -r; systemctl --version | head -n 1'
groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(user cgroups scope damage session system logout reboot power)
for group in "${groups[@]}"; do
    case $group in
    user | cgroups | scope | damage | session | system | logout | reboot | power) "${group}_group" ;;
    *) usage ;;
    esac
done
[ "$failed" -eq 0 ]
