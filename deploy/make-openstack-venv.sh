#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes .venv-openstack hold exactly what deploy/openstack-requirements.lock says: the clients and services of today's
# clouds that `make test-openstack` sets beside alarmd. They have an environment of their own because they are users and
# neighbours of alarmd, not parts of it, and want other versions of what it uses.
# Does nothing, and asks no network, when that is so already. deploy/make-venv.sh comes first: its Python is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv-openstack
LOCK=deploy/openstack-requirements.lock
STAMP=$VENV/setup-stamp
# These would lead pip and Python away from the environment.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

origin=$(.venv/bin/python -c 'import os, sys; print(os.path.realpath(sys._base_executable), sys.version.split()[0])')
base=${origin% *}
# An environment knows its own path and its Python's; when either has moved, it is made anew.
wanted=$(printf '%s\n' "$PWD/$VENV $origin" && cat "$LOCK")
if [ -f "$STAMP" ] && printf '%s\n' "$wanted" | cmp -s - "$STAMP"; then
    exit 0
fi

pip_install() {
    # Builds use the setuptools of the lock file, not whatever is newest today.
    $VENV/bin/python -m pip install --quiet --quiet --no-build-isolation --require-hashes "$@" < /dev/null
}

echo "setup: installing what $LOCK says into $VENV"
"$base" -m venv --clear "$VENV"
tools=$(mktemp)
trap 'rm -f "$tools"' EXIT
awk '/^[^ #]/ { keep = /^setuptools==/ } keep' "$LOCK" > "$tools"
pip_install -r "$tools"
pip_install -r "$LOCK"
printf '%s\n' "$wanted" > "$STAMP"
