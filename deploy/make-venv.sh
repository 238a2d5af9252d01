#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes .venv hold exactly what requirements.lock says, and alarmd itself, editable. Does nothing, and asks no network,
# when that is so already: copies of what was installed lie in .venv/setup and are compared with what is wanted.
#
#   PYTHON=python3.13 deploy/make-venv.sh     choose the Python; python3 otherwise
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
STAMPS=.venv/setup
# These would lead pip and Python away from .venv.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

command -v "$PYTHON" > /dev/null ||
    fail "there is no '$PYTHON'. Install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3.11"
# The interpreter behind an active virtual environment, so that .venv is never made from itself.
facts=$("$PYTHON" -c '
import os, sys, sysconfig
print(os.path.realpath(sys._base_executable or sys.executable))
print("%d.%d.%d" % sys.version_info[:3])
print("new" if sys.version_info >= (3, 11) else "old")
print("headers" if os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")) else "bare")
')
{ read -r base; read -r version; read -r age; read -r headers; } <<< "$facts"
[ "$age" = new ] ||
    fail "$PYTHON is Python $version, and alarmd needs 3.11 or newer." "Name one: make setup PYTHON=python3.11"

# A part of alarmd is compiled: what reads the samples of all alarms.
[ "$headers" = headers ] && command -v cc > /dev/null ||
    fail "alarmd needs a C compiler and the headers of Python $version. On Debian and Ubuntu, as root, run:" \
        "    apt-get install gcc libc6-dev python3-dev"
# libvirt-python ships as source only; without the headers of libvirt the rest still works, on other sources.
lock=$(cat requirements.lock)
if ! pkg-config --exists libvirt 2> /dev/null; then
    echo "setup: leaving out libvirt-python: it needs pkg-config and the headers of libvirt." \
        "alarmd can then read this machine and take pushed samples, but no hypervisor."
    lock=$(awk '/^[^ #]/ { skip = /^libvirt-python==/ } !skip' <<< "$lock")
fi

pip_install() {
    # Builds use the setuptools of the lock file, not whatever is newest today.
    .venv/bin/python -m pip install --quiet --quiet --no-build-isolation "$@" < /dev/null
}

is_stamped() { [ -f "$STAMPS/$1" ] && printf '%s\n' "$2" | cmp -s - "$STAMPS/$1"; }
stamp() { mkdir -p "$STAMPS" && printf '%s\n' "$2" > "$STAMPS/$1"; }

# An environment knows its own path and its Python's; when either has moved, it is made anew. One that somebody made by
# hand with the same Python is taken over.
origin="$PWD/.venv $base $version"
found=$(.venv/bin/python -c 'import os, sys; print(os.path.realpath(sys._base_executable), "%d.%d.%d" % sys.version_info[:3])' 2> /dev/null || true)
if [ "$found" != "$base $version" ] || { [ -f "$STAMPS/origin" ] && ! is_stamped origin "$origin"; }; then
    "$base" -c "import ensurepip, venv" 2> /dev/null ||
        fail "$base cannot make virtual environments. On Debian and Ubuntu, as root, run:" \
            "    apt-get install python3-venv"
    echo "setup: making .venv with Python $version"
    "$base" -m venv --clear .venv
fi
is_stamped origin "$origin" || stamp origin "$origin"

if ! is_stamped requirements "$lock"; then
    echo "setup: installing what requirements.lock says into .venv"
    wanted=$(mktemp)
    trap 'rm -f "$wanted"' EXIT
    awk '/^[^ #]/ { keep = /^setuptools==/ } keep' <<< "$lock" > "$wanted"
    pip_install --require-hashes -r "$wanted"
    printf '%s\n' "$lock" > "$wanted"
    pip_install --require-hashes -r "$wanted"
    stamp requirements "$lock"
fi

# What is compiled is compiled anew when its source has changed, or when it has gone.
project=$(cat pyproject.toml setup.py $(find alarmd -name '*.pyx' | sort))
compiled=$(find alarmd -name '*.pyx' | sed 's/pyx$/*.so/')
# shellcheck disable=SC2086  # a list of patterns
if ! is_stamped project "$project" || ! ls $compiled > /dev/null 2>&1; then
    echo "setup: installing alarmd into .venv, editable"
    pip_install --no-deps -e .
    stamp project "$project"
fi
