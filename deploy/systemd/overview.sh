#!/bin/sh
# The main process of btc-scanner.service: shows in its status how the services are, every ten seconds.
# It decides nothing; each service has a watchdog and a restart of its own. With "stop" it waits until
# the services that are being stopped have ended, so that `systemctl stop btc-scanner` returns after the last of them.
set -u

WAIT_S=60

trap 'exit 0' TERM INT

# The services that systemd still has to start (or stop).
jobs_of() {
    systemctl list-jobs --no-legend 2>/dev/null | while read -r _ unit type _; do
        case $unit:$type in btc-scanner-*:"$1") printf '%s\n' "$unit" ;; esac
    done
}
wait_for() {
    left=$WAIT_S
    while [ "$left" -gt 0 ] && [ -n "$(jobs_of "$1")" ]; do
        sleep 1
        left=$((left - 1))
    done
}

if [ "${1:-}" = stop ]; then
    wait_for stop
    exit 0
fi

told=''
wait_for start
systemd-notify --ready --status='starting'
while :; do
    running=0 others=''
    units=$(systemctl list-units --all --plain --no-legend 'btc-scanner-*.service' 2>/dev/null)
    while read -r unit load active state _; do
        case $unit:$load in *:masked) continue ;; btc-scanner-*) ;; *) continue ;; esac
        if [ "$active" = active ]; then
            running=$((running + 1))
        else
            name=${unit#btc-scanner-}
            others="$others ${name%.service} is $active ($state);"
        fi
    done <<END
$units
END
    status="$running running"
    [ -z "$others" ] || status="$status;${others%;}"
    detector=$(systemctl show -p StatusText --value btc-scanner-detector.service 2>/dev/null)
    [ -z "$detector" ] || status="$status; detector: $detector"
    if [ "$status" != "$told" ]; then
        # Ready again each time: before systemd 246 a word may be lost whose sender has ended.
        systemd-notify --ready --status="$status"
        told=$status
    fi
    # In the background, because a shell obeys no signal while it waits for what it runs.
    sleep 10 &
    wait $!
done
