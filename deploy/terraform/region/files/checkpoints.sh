#!/bin/sh
# Puts checkpoints of the audit log into the bucket that keeps them, and removes what is
# there from here. What is put twice, after a crash, is two versions of one object.
set -eu
. /etc/jiragate/machine.conf

# The gateway writes a file at once: one that has not changed for a minute is complete, or
# was left unfinished by a crash. Their names have no spaces.
status=0
for file in $(find "$DATA_DIR/checkpoints" -maxdepth 1 -type f -mmin +1 | sort); do
    if aws s3api put-object --region "$CHECKPOINTS_REGION" --bucket "$CHECKPOINTS_BUCKET" \
        --key "$CHECKPOINTS_PREFIX/${file##*/}" --body "$file" --checksum-algorithm SHA256 >/dev/null; then
        rm -- "$file"
    else
        status=1
    fi
done
exit "$status"
