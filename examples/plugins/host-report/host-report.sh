#!/bin/sh
# Reports what a Linux host has and how it is. The operation is the first argument, the task is on standard input, and
# what the task learned goes to descriptor 3 as JSON lines.
set -eu

# The number under a key of the task's JSON, or nothing.
number() {
    sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*\([0-9][0-9]*\).*/\1/p' | head -n 1
}

memory() {
    sed -n 's/^'"$1"':[[:space:]]*\([0-9]*\) kB$/\1/p' /proc/meminfo
}

# Total, free and free percent of the file system under /, in kB.
disk() {
    df -Pk / | awk 'NR == 2 { printf "%d %d %d\n", $2, $4, ($2 > 0 ? $4 * 100 / $2 : 0) }'
}

report() {
    read -r disk_total disk_free _ <<EOF
$(disk)
EOF
    read -r load _ </proc/loadavg
    read -r uptime _ </proc/uptime
    values="{\"memory_total_kb\":$(memory MemTotal),\"memory_available_kb\":$(memory MemAvailable)"
    values="$values,\"disk_total_kb\":$disk_total,\"disk_free_kb\":$disk_free"
    values="$values,\"load_1m\":$load,\"uptime_s\":${uptime%.*},\"kernel\":\"$(uname -r)\"}"
    echo "load $load, $disk_free kB free on /"
    printf '{"type":"output","values":%s}\n' "$values" >&3
    printf '{"type":"runtime_properties","values":{"host_report":%s}}\n' "$values" >&3
}

check_disk() {
    wanted=$(number minFreePercent)
    wanted=${wanted:-10}
    read -r _ _ free <<EOF
$(disk)
EOF
    printf '{"type":"output","values":{"free_percent":%d}}\n' "$free" >&3
    if [ "$free" -lt "$wanted" ]; then
        printf '{"type":"error","class":"DiskFull","message":"/ has %d %% free; at least %d %% are wanted"}\n' "$free" "$wanted" >&3
        exit 1
    fi
    echo "/ has $free % free"
}

case "${1:-}" in
report)
    cat >/dev/null
    report
    ;;
check-disk) check_disk ;;
*)
    echo "there is no operation '${1:-}'" >&2
    exit 1
    ;;
esac
