#!/bin/sh
# Installs the Conductor agent on this host and lets it join. `conductor agents token create` prints the line that runs this.
#
#   install.sh --from URL [--pin sha256//KEY] [ENROLMENT-STRING]
#
# URL is the manager's address. With --pin, curl talks only to the holder of that key. Without a string the agent is installed
# and idles; `conductor-agent enroll STRING` lets it join later.
#
# A shell runs what it has read so far. All is in functions, and the last line calls them: of a download that broke off nothing
# is run.
set -eu

say() {
    echo "conductor: $*" >&2
}

fail() {
    say "$*"
    exit 1
}

# fetch NAME
fetch() {
    # The manager's certificate is signed by its own authority, which this host does not know yet. What is installed is
    # trusted because of the pinned key; without one only a connection without encryption is taken, as on a test network.
    if [ -n "$pin" ]; then
        set -- "$1" --insecure --pinnedpubkey "$pin"
    fi
    name=$1
    shift
    say "fetching $name from $from"
    curl --fail --silent --show-error --location --max-time 600 "$@" --output "$folder/$name" "${from%/}/packages/$name"
}

main() {
    from= pin= string=
    while [ $# -gt 0 ]; do
        case $1 in
        --from | --pin)
            [ $# -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --from ]; then from=$2; else pin=$2; fi
            shift
            ;;
        -*) fail "unknown flag $1; usage: install.sh --from URL [--pin sha256//KEY] [ENROLMENT-STRING]" ;;
        *) string=$1 ;;
        esac
        shift
    done
    [ -n "$from" ] || fail "say where the manager is: --from https://HOST:53333"
    [ "$(id -u)" -eq 0 ] || fail "installing needs root: put sudo before sh"
    command -v curl >/dev/null || fail "install curl first"
    [ "$(uname -m)" = x86_64 ] || fail "there is no agent for $(uname -m) yet, only for x86_64"

    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT

    if command -v dpkg >/dev/null && command -v apt-get >/dev/null; then
        fetch conductor-agent.deb
        # apt reads local files as its own user, which must get into the folder.
        chmod 755 "$folder"
        DEBIAN_FRONTEND=noninteractive apt-get install -y --allow-downgrades "$folder/conductor-agent.deb" </dev/null
    elif command -v dnf >/dev/null; then
        fetch conductor-agent.rpm
        dnf install -y "$folder/conductor-agent.rpm"
    elif command -v rpm >/dev/null; then
        fetch conductor-agent.rpm
        rpm --upgrade --replacepkgs "$folder/conductor-agent.rpm"
    else
        fetch conductor-agent.tar.gz
        tar -xzf "$folder/conductor-agent.tar.gz" -C "$folder"
        tree=$(echo "$folder"/conductor-agent-*/)
        cp -a "$tree/usr/." /usr/
        mkdir -p /etc/conductor
        # Settings of this host stay.
        [ -e /etc/conductor/agent.toml ] || cp "$tree/etc/conductor/agent.toml" /etc/conductor/
        systemd-sysusers conductor-agent.conf
        systemd-tmpfiles --create conductor-agent.conf
        systemctl daemon-reload
    fi

    if [ -z "$string" ]; then
        say "the agent is installed; let it join with: conductor-agent enroll STRING"
        exit 0
    fi
    conductor-agent enroll "$string"
    systemctl enable --now conductor-agent.service
    say "this host has joined"
}

main "$@"
