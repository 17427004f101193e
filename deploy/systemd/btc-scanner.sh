#!/bin/sh
# btc-scanner COMMAND on an installed scanner: status, signals, events, config check, ...
# Runs as the user btc-scanner, with the environment of the services; whoever is not root is asked for sudo's password.
set -eu

user=btc-scanner base=/opt/btc-scanner etc=/etc/btc-scanner

if [ "$(id -u)" != 0 ] && [ "$(id -un)" != "$user" ]; then
    command -v sudo >/dev/null 2>&1 || { echo "btc-scanner: type this as root" >&2; exit 1; }
    exec sudo -- "$0" "$@"
fi

export BTC_SCANNER_CONFIG="${BTC_SCANNER_CONFIG:-$etc/config.json}"
if [ "$(id -u)" = 0 ]; then
    # As systemd reads it, but for lines that go on in the next: NAME=VALUE, with or without quotes.
    if [ -r "$etc/env" ]; then
        while IFS= read -r line || [ -n "$line" ]; do
            name=${line%%=*} value=${line#*=}
            case $name in '' | *[!A-Za-z0-9_]* | [0-9]*) continue ;; esac
            [ "$name" != "$line" ] || continue
            case $value in
                \"*\") value=${value#\"} value=${value%\"} ;;
                \'*\') value=${value#\'} value=${value%\'} ;;
            esac
            export "$name=$value"
        done <"$etc/env"
    fi
    # The secrets of the services, for `config check`; only root can read their files.
    for name in SMTP_PASSWORD TELEGRAM_BOT_TOKEN TELEGRAM_CHAT_ID; do
        file=$etc/credentials/$(printf %s "$name" | tr '[:upper:]' '[:lower:]')
        if [ -s "$file" ] && ! printenv "$name" >/dev/null; then export "$name=$(cat -- "$file")"; fi
    done
    export HOME=/var/lib/btc-scanner USER=$user LOGNAME=$user
    set -- setpriv --reuid="$user" --regid="$user" --init-groups -- \
        "$base/current/venv/bin/python" -P -m cli "$@"
else
    set -- "$base/current/venv/bin/python" -P -m cli "$@"
fi
release=$(readlink -f -- "$base/current")
export PYTHONPATH="$release" PYTHONDONTWRITEBYTECODE=1
exec "$@"
