#!/bin/bash
# Looks at Dockerfile and docker-compose.yml with docker compose and hadolint, and says which of them is not here.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1
red=0

if docker compose version >/dev/null 2>&1; then
    for profile in live demo tools; do
        docker compose --profile "$profile" config -q && echo "docker compose config: profile $profile is right" || red=1
    done
else
    echo "docker compose is not here: docker-compose.yml was checked by a test only (tests/unit/test_containers.py)"
fi

if command -v hadolint >/dev/null; then
    hadolint Dockerfile && echo "hadolint: the Dockerfile is clean" || red=1
else
    echo "hadolint is not here: the Dockerfile was checked by a test only (tests/unit/test_containers.py)"
fi
exit "$red"
