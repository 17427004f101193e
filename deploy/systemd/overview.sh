#!/bin/sh
# The main process of btc-scanner.service: shows in its status how the services are, every ten seconds.
# It decides nothing; each service has a watchdog and a restart of its own.
set -u

trap 'exit 0' TERM INT

told=''
systemd-notify --ready --status='starting'
while :; do
    running=0 others=''
    units=$(systemctl list-units --all --plain --no-legend 'btc-scanner-*.service' 2>/dev/null)
    while read -r unit _ active state _; do
        case $unit in btc-scanner-*) ;; *) continue ;; esac
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
        systemd-notify --status="$status"
        told=$status
    fi
    # In the background, because a shell obeys no signal while it waits for what it runs.
    sleep 10 &
    wait $!
done
