#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes both lock files anew, with hashes, for every platform and every Python from 3.11 on:
#
#   requirements.lock                     everything that pyproject.toml asks for, extras and development tools too
#   deploy/openstack-requirements.lock    everything that deploy/openstack-requirements.in asks for
#
# uv does it, from an environment of its own. What is locked already stays as it is where it still fits; name UPGRADE=1
# to take the newest of everything.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x .venv-lock/bin/uv ]; then
    "${PYTHON:-python3}" -m venv --clear .venv-lock
    .venv-lock/bin/python -m pip install --quiet --quiet --disable-pip-version-check uv
fi

lock() {
    .venv-lock/bin/uv pip compile "$@" --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet \
        ${UPGRADE:+--upgrade}
}

lock pyproject.toml --all-extras --group dev -o requirements.lock
lock deploy/openstack-requirements.in -o deploy/openstack-requirements.lock
