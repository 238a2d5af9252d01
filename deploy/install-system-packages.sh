#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sees to the system packages that the named groups need (Debian, Ubuntu):
#
#   deploy/install-system-packages.sh build|hypervisor|servers|benchmark ...
#
# What is there already is left alone, without asking the network. What is missing is installed with apt-get when this
# may be done without a question (as root, or with a sudo that asks for no password). Otherwise this says what to
# install, and ends well: whatever needs the missing thing says so itself.
# No service is started or enabled by it: alarmd's demo and tests start private servers of their own.
set -euo pipefail

packages_of() {
    case "$1" in
        # A compiler and headers for alarmd's own kernel (ADR 19) and for libvirt-python, which ships as source only; and venv.
        build) echo "gcc libc6-dev pkg-config libvirt-dev python3-dev python3-venv" ;;
        # Real virtual machines.
        hypervisor) echo "libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86" ;;
        # What alarmd runs on past one machine, and asks.
        servers) echo "postgresql redis-server prometheus" ;;
        # What the benchmarks compare with.
        benchmark) echo "prometheus" ;;
        *)
            echo "There is no group of packages named '$1'; known: build, hypervisor, servers, benchmark." >&2
            return 2
            ;;
    esac
}

# Units that come with the packages above and would start at the next boot.
UNITS="libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket virtlogd.socket virtlogd-admin.socket
    virtlockd.socket virtlockd-admin.socket
    libvirt-guests.service postgresql.service redis-server.service prometheus.service prometheus-node-exporter.service"
POLICY=/usr/sbin/policy-rc.d

wanted=""
for group in "$@"; do
    wanted="$wanted $(packages_of "$group")"
done

missing=""
if command -v dpkg-query > /dev/null; then
    # shellcheck disable=SC2086  # a list of words
    # (dpkg-query fails when it does not know one of them, and tells of the others all the same.)
    present=" $({ dpkg-query --show --showformat '${db:Status-Status}:${Package}\n' $wanted 2> /dev/null || true; } |
        sed -n 's/^installed://p' | tr '\n' ' ')"
    for package in $wanted; do
        case "$present" in *" $package "*) ;; *) missing="$missing $package" ;; esac
    done
else
    missing="$wanted"
fi
if [ -z "$missing" ]; then
    exit 0
fi

if ! command -v apt-get > /dev/null; then
    echo "setup: there is no apt-get here, so no system package is installed. On Debian and Ubuntu these would be:$missing"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    as_root=(sudo -n env)
else
    echo "setup: system packages are missing and this user may not install them. As root, run:"
    echo "    apt-get install --no-install-recommends$missing"
    exit 0
fi

existing_units=$(systemctl list-unit-files --no-legend 2> /dev/null | awk '{ print $1 }' || true)

# While this file is there and says 101, packages do not start their services (invoke-rc.d(8)).
if [ ! -e "$POLICY" ]; then
    trap '"${as_root[@]}" rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$POLICY" > /dev/null
    "${as_root[@]}" chmod 755 "$POLICY"
fi

install() {
    # shellcheck disable=SC2086  # a list of words
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 install --no-install-recommends $missing < /dev/null
}

echo "setup: installing system packages:$missing"
log=$(mktemp)
# A machine's package lists may be missing or old; they are fetched only when the first try shows that.
if ! install > "$log" 2>&1; then
    "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 update < /dev/null
    if ! install > "$log" 2>&1; then
        cat "$log" >&2
        echo "setup: apt-get could not install:$missing" >&2
        echo "setup: the reason stands above; once it is gone, run the same command again." >&2
        rm -f "$log"
        exit 1
    fi
fi
rm -f "$log"

# Nor shall they start at the next boot, unless they were there before.
for unit in $UNITS; do
    case "
$existing_units
" in *"
$unit
"*) ;; *) "${as_root[@]}" systemctl --quiet disable "$unit" > /dev/null 2>&1 || true ;; esac
done
