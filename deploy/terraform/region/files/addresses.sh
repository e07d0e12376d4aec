#!/bin/sh
# Sees to it that each egress address's local address is on the network interface. Amazon
# Linux does that by itself, a moment after the network is up; other images may not.
set -eu
. /etc/jiragate/machine.conf

here() {
    ip -4 -o address show | grep -qF " inet $1/"
}

for ip in $LOCAL_IPS; do
    tries=0
    until here "$ip" || [ "$tries" -ge 30 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    here "$ip" && continue
    device=$(ip -4 -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    ip address add "$ip/$PREFIX_LENGTH" dev "$device"
done
