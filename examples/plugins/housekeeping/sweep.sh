#!/bin/sh
# Deletes old files. A script gets its input as environment variables (`env` in the task's input) and speaks with the
# manager through ctx.
set -eu

days=${DAYS:-7}
case "${DIRECTORY:-}" in
"" | / | /bin* | /boot* | /dev* | /etc* | /lib* | /proc* | /sbin* | /sys* | /usr*)
    ctx logger error "will not sweep '${DIRECTORY:-}'; give DIRECTORY, and no folder of the system"
    exit 1
    ;;
esac

# What is not there is tidy.
[ -d "$DIRECTORY" ] || { ctx logger info "there is no $DIRECTORY"; exit 0; }

count=$(find "$DIRECTORY" -xdev -type f -mtime "+$days" -print -delete | wc -l)
ctx logger info "deleted $count files older than $days days in $DIRECTORY"
ctx instance runtime-properties housekeeping_deleted "$count"
