#!/bin/bash
# Looks at what runs outside Python: the scripts with shellcheck, the units with systemd-analyze. Says what is not here.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1

MOST_EXPOSED=15 # tenths, of systemd-analyze's 10.0; it differs a little from one release to the next
red=0

if command -v shellcheck >/dev/null; then
    shellcheck btc-scanner deploy/*.sh deploy/systemd/*.sh && echo "shellcheck: all scripts are clean" || red=1
else
    echo "shellcheck is not here: scripts were not checked (apt install shellcheck)"
fi

if command -v systemd-analyze >/dev/null; then
    folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
    # Where it is not installed, verify would miss the programs.
    for unit in deploy/systemd/*.service; do
        sed -e 's|/opt/btc-scanner/current/venv/bin/python|/bin/true|' -e 's|^WorkingDirectory=.*|WorkingDirectory=/|' \
            "$unit" >"$folder/${unit##*/}"
    done
    units=("$folder"/*.service)
    said=$(cd "$folder" && systemd-analyze verify --man=no "${units[@]/@./@1.}" 2>&1)
    if [ -n "$said" ]; then
        printf '%s\n' "$said"
        red=1
    fi
    for unit in "${units[@]}"; do
        said=$(systemd-analyze security --no-pager --offline=true --threshold="$MOST_EXPOSED" "$unit" 2>&1) || {
            case $said in
                *offline*) echo "this systemd-analyze is too old to judge the exposure of units"; break ;;
            esac
            red=1
        }
        printf '%s\n' "$said" | tail -n 1
    done
else
    echo "systemd-analyze is not here: the units were not checked (apt install systemd)"
fi
exit "$red"
