#!/bin/sh
# burn.sh SECONDS: keeps every processor busy for so long, twice over.
n=$(($(nproc) * 2))
while [ "$n" -gt 0 ]; do
    timeout "$1" sh -c 'while :; do :; done' &
    n=$((n - 1))
done
wait
