#!/bin/sh
# btc-scanner COMMAND on an installed scanner: status, signals, events, config check, ...
# Runs as the user btc-scanner and as Redis's user operator, with the environment of the services; their passwords are
# for root alone to read, so whoever is not root is asked for sudo's password.
set -eu

user=btc-scanner base=/opt/btc-scanner etc=/etc/btc-scanner

if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "btc-scanner: type this as root" >&2; exit 1; }
    exec sudo -- "$0" "$@"
fi

export BTC_SCANNER_CONFIG="${BTC_SCANNER_CONFIG:-$etc/config.json}"
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
secret() { # NAME FILE: from there, unless the variable is set
    if [ -s "$2" ] && ! printenv "$1" >/dev/null; then export "$1=$(cat -- "$2")"; fi
}
# For `config check` and `doctor`.
secret SMTP_PASSWORD "$etc/credentials/smtp_password"
secret TELEGRAM_BOT_TOKEN "$etc/credentials/telegram_bot_token"
secret TELEGRAM_CHAT_ID "$etc/credentials/telegram_chat_id"
secret OWN_REDIS_PASSWORD "$etc/credentials/redis/operator/redis_password"
export BTC_SCANNER_OWN_REDIS=unix://operator@/run/btc-scanner/redis.sock
export BTC_SCANNER_DOORS=/run/btc-scanner-doors
export HOME=/var/lib/btc-scanner USER=$user LOGNAME=$user
release=$(readlink -f -- "$base/current")
export PYTHONPATH="$release" PYTHONDONTWRITEBYTECODE=1
exec setpriv --reuid="$user" --regid="$user" --init-groups -- "$base/current/venv/bin/python" -P -m cli "$@"
