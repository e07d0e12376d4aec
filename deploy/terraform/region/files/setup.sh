#!/bin/sh
# Makes a gateway of this machine, at its first start: data volume, program, services.
# cloud-init runs it and keeps what it says in /var/log/cloud-init-output.log. It can be
# run again.
set -eu
. /etc/jiragate/machine.conf

fail() {
    echo "jiragate-setup: $*" >&2
    exit 1
}

# The volume is attached when the machine has started already.
tries=0
until [ -b "$VOLUME" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 300 ] || fail "the data volume $VOLUME was not attached within five minutes"
    sleep 1
done

# blkid's 2 means that there is nothing on it. Whatever has anything is never formatted.
status=0
blkid -p "$VOLUME" >/dev/null || status=$?
case $status in
0) ;;
2) mkfs.xfs -q "$VOLUME" ;;
*) fail "blkid $VOLUME failed with $status; nothing was formatted" ;;
esac

mkdir -p "$DATA_DIR"
grep -q "^$VOLUME " /etc/fstab ||
    echo "$VOLUME $DATA_DIR xfs nodev,nosuid,noexec,nofail,x-systemd.device-timeout=300 0 0" >>/etc/fstab
systemctl daemon-reload
mountpoint -q "$DATA_DIR" || mount "$DATA_DIR"

# The user's number may be another one than on the machine before.
systemd-sysusers /etc/sysusers.d/jiragate.conf
[ "$(stat -c %U "$DATA_DIR")" = jiragate ] || chown -R jiragate:jiragate "$DATA_DIR"
chmod 0700 "$DATA_DIR"
install -d -o jiragate -g jiragate -m 0700 "$DATA_DIR/checkpoints"

# The program, which is only run if it is the one that was asked for.
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
case $RELEASE_URL in
s3://*) aws s3 cp --only-show-errors "$RELEASE_URL" "$download/release" ;;
*) curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --tlsv1.2 \
    --retry 5 --retry-connrefused --max-time 300 --output "$download/release" "$RELEASE_URL" ;;
esac
echo "$RELEASE_SHA256  $download/release" | sha256sum --check --quiet - ||
    fail "$RELEASE_URL has another SHA-256 than release_sha256 says"
program=$download/release
case $RELEASE_URL in
*.tar.gz | *.tgz)
    mkdir "$download/unpacked"
    tar --extract --gzip --no-same-owner --file "$download/release" --directory "$download/unpacked"
    program=$(find "$download/unpacked" -type f -name jiragate)
    [ -f "$program" ] || fail "$RELEASE_URL does not have one file with the name jiragate"
    ;;
esac
install -o root -g root -m 0755 "$program" /usr/local/bin/jiragate
/usr/local/bin/jiragate version || fail "the program does not run here: is it for $(uname -m)?"

systemctl daemon-reload
systemctl enable --now jiragate-proxy.socket jiragate-admin.socket
systemctl enable --now jiragate.service
[ -z "$CHECKPOINTS_BUCKET" ] || systemctl enable --now jiragate-checkpoints.timer
