#!/bin/sh
# Brings the gateway's secrets from Secrets Manager to where systemd, or the gateway, reads
# them. They are in no argument, no environment and no log.
set -eu
. /etc/jiragate/machine.conf

# Again for two minutes: the role of a new machine is not known everywhere at once.
secret() {
    tries=0
    until aws secretsmanager get-secret-value --region "$1" --secret-id "$2" \
        --query SecretString --output text >"$3"; do
        tries=$((tries + 1))
        [ "$tries" -lt 12 ] || return 1
        sleep 10
    done
}

umask 077
mkdir -p /run/jiragate-secrets
chmod 0700 /run/jiragate-secrets
for entry in $SECRET_FILES; do
    file=${entry%%=*}
    arn=${entry#*=}
    secret "$(echo "$arn" | cut -d : -f 4)" "$arn" "$file.new"
    case $file in
    /etc/jiragate/*) chmod 0644 "$file.new" ;;
    esac
    mv "$file.new" "$file"
done
