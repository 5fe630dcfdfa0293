#!/bin/sh
# Deletes old files. A script asks for its input and tells its result through ctx.
set -eu

directory=$(ctx task input directory)
days=$(ctx task input days 2>/dev/null) || days=7

case "$directory" in
/ | /bin* | /boot* | /dev* | /etc* | /lib* | /proc* | /sbin* | /sys* | /usr* | *..* | [!/]*)
    ctx abort "will not sweep '$directory'; give the whole path of a folder that is not the system's"
    exit 1
    ;;
esac

if [ ! -d "$directory" ]; then
    ctx not-needed "there is no $directory"
    exit 0
fi

count=$(find "$directory" -xdev -type f -mtime "+$days" -print -delete | wc -l)
ctx logger info "deleted $count files older than $days days in $directory"
ctx output deleted "$count"
ctx instance runtime-properties housekeeping.deleted "$count"
