#!/bin/sh
# start.sh FLAGS COMMAND…: does what a fault has left beside FLAGS, then becomes the command.
flags=$1
shift
# A heartbeat of the run before is none.
rm -f "$flags.beat"
if [ -e "$flags.crashes" ]; then
    left=$(cat "$flags.crashes")
    if [ "${left:-0}" -gt 0 ]; then
        echo $((left - 1)) > "$flags.crashes"
        echo "cannot start: $left more times" >&2
        exit 1
    fi
    rm -f "$flags.crashes"
fi
if [ -e "$flags.unstartable" ]; then
    echo "cannot start while $flags.unstartable is there" >&2
    exit 1
fi
if [ -e "$flags.slow" ]; then
    seconds=$(cat "$flags.slow")
    rm -f "$flags.slow"
    sleep "$seconds"
fi
exec "$@"
