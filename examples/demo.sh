#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The examples at work, for `./dev demo`: each prints what it does, and `NAME: ok` when it ended as it should.
#
# Without ETCDC_ENDPOINTS two private servers are started, one that is open and one with authentication, where the
# discovery client logs in. With it, all clients use those endpoints; with ETCDC_USERNAME and ETCDC_PASSWORD they log in
# there. The examples keep to keys below /etcdc-examples/ and remove them.
#
#   ETCDC_BUILD     the build folder
#   ETCDC_LAUNCH    the launcher of private servers
set -eu
programs=$ETCDC_BUILD/examples
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
START_SECONDS=10 # for a program to say that it has started

# ---- which servers ----

user='admin'
export ETCD_DISCOVERY_PASSWORD="${ETCD_DISCOVERY_PASSWORD:-secret}"
case ${ETCDC_DEMO_STAGE:-} in
'')
    if [ -z "${ETCDC_ENDPOINTS:-}" ]; then
        echo "Two private etcd servers are being started: one open, one with authentication."
        ETCD_DISCOVERY_PASSWORD=secret ETCDC_DEMO_STAGE=open exec "$ETCDC_LAUNCH" -- "$self"
    fi
    echo "Using the etcd at $ETCDC_ENDPOINTS."
    open=$ETCDC_ENDPOINTS
    discovery=$ETCDC_ENDPOINTS
    ;;
open)
    ETCDC_DEMO_OPEN=$ETCDC_ENDPOINTS ETCDC_DEMO_STAGE=both exec "$ETCDC_LAUNCH" --auth \
        --user "$user:$ETCD_DISCOVERY_PASSWORD:/etcdc-examples/" -- "$self"
    ;;
both)
    # The launcher's ETCDC_USERNAME is root; the examples have their own user.
    unset ETCDC_USERNAME ETCDC_PASSWORD
    open=$ETCDC_DEMO_OPEN
    discovery=$ETCDC_ENDPOINTS
    ;;
esac

# point <client> <endpoints>: where the client of an example finds its server. See capp/etcd.h.
point() {
    export "CAPP_ETCD__CLIENTS__${1}__ENDPOINTS=$2"
    [ -n "${ETCDC_USERNAME:-}" ] || return 0
    export "CAPP_ETCD__CLIENTS__${1}__USERNAME=$ETCDC_USERNAME" "CAPP_ETCD__CLIENTS__${1}__PASSWORD__ENV=ETCDC_PASSWORD"
}

point_all() {
    for client in "$@"; do
        case $client in
        DISCOVERY) point "$client" "$discovery" ;;
        *) point "$client" "$open" ;;
        esac
    done
}

# ---- running them ----

work=$(mktemp -d)
child=
stopped=

# launch <clients> <program> [argument]…: in a session of its own, so that ^C reaches the program once, from here: a second
# signal would end it at once.
launch() {
    clients=$1
    shift
    (
        # shellcheck disable=SC2086  # a list of words
        point_all $clients
        exec setsid "$@"
    ) &
    child=$!
}

# Waits for the program; a signal interrupts `wait`, and then it is waited for again.
finish() {
    status=0
    while :; do
        wait "$child" && status=0 || status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    child=
}

on_signal() {
    [ -z "$stopped" ] || return 0
    stopped=$1
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}

cleanup() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null || true
        finish
    fi
    rm -rf "$work"
}

trap cleanup EXIT
trap 'on_signal 130' INT
trap 'on_signal 143' TERM
trap 'on_signal 129' HUP

failed=

# verdict <name> <status>: says how a part went; ends the demonstration after a signal.
verdict() {
    if [ -n "$stopped" ]; then
        echo "stopped"
        exit "$stopped"
    fi
    if [ "$2" = 0 ]; then
        echo "$1: ok"
    else
        echo "$1: FAILED with status $2"
        failed="$failed $1;"
    fi
}

begin() {
    [ -z "$stopped" ] || exit "$stopped"
    printf '\n== %s: %s\n' "$1" "$2"
}

# once <name> <what> <clients> <program>: one that ends by itself.
once() {
    begin "$1" "$2"
    launch "$3" "$programs/$4" --once
    finish
    verdict "$1" "$status"
}

# Whether the program says that it runs, and that so many clients are connected.
is_up() {
    grep -q 'INFO  app: started$' "$work/log" && [ "$(grep -c 'INFO  etcd: .*connected to' "$work/log")" -ge "$1" ]
}

await_up() {
    tries=$((START_SECONDS * 10))
    until is_up "$1"; do
        tries=$((tries - 1))
        [ -z "$stopped" ] && [ "$tries" -gt 0 ] && kill -0 "$child" 2>/dev/null || return 1
        sleep 0.1
    done
}

# until_term <name> <what> <clients> <program>: one that runs until SIGTERM, which it is sent when it is up.
until_term() {
    begin "$1" "$2"
    launch "$3" "$programs/$4" 2>"$work/log"
    # shellcheck disable=SC2086  # a list of words
    set -- "$1" $3
    name=$1
    shift
    up=yes
    await_up $# || up=no
    kill -TERM "$child" 2>/dev/null || true
    finish
    cat "$work/log"
    [ "$up" = yes ] || [ "$status" != 0 ] || status="0, but its clients were not connected"
    verdict "$name" "$status"
}

until_term 'example 1' 'one client; runs until SIGTERM' DEFAULT basic
[ -z "$failed" ] || {
    echo "There is no use in going on." >&2
    exit 1
}
until_term 'example 2' 'three clients, one of which logs in' 'DEFAULT CONFIG DISCOVERY' clients
once 'example 3' 'a service with the default client' DEFAULT config_service
once 'example 4' 'a service with the factory' 'CONFIG DISCOVERY' factory
once 'example 5' 'a distributed lock' DEFAULT lock_service
once 'configuration centre' 'a prefix in memory, and its changes' CONFIG config_center
once 'service discovery' 'instances that come and go' DISCOVERY service_discovery

[ -z "$failed" ] || {
    echo "failed:$failed" >&2
    exit 1
}
