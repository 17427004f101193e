# A Debian that boots systemd, for tests/deploy/test_systemd.py; used where BTC_SCANNER_SYSTEMD_IMAGE names no other image.
FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends \
        systemd systemd-sysv dbus python3 python3-venv python3-pip iproute2 procps ca-certificates sudo \
    && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
