#!/bin/sh
# Each run of an operation notes its beginning in a file that outlives it, by which a story sees how often it ran.
set -eu
task=$(cat)
value() {
    printf %s "$task" | sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -1
}
case $1 in
count)
    mark=$(value mark)
    seconds=$(value seconds)
    echo begin >>"/var/tmp/host-story-$mark"
    n=0
    while [ "$n" -lt "$seconds" ] && [ ! -e "/var/tmp/host-story-$mark-enough" ]; do
        n=$((n + 1))
        echo "line $n"
        sleep 1
    done
    echo "{\"type\":\"output\",\"values\":{\"lines\":$n}}" >&3
    ;;
whoami)
    echo "{\"type\":\"output\",\"values\":{\"user\":\"$(id -un)\",\"host\":\"$(cat /proc/sys/kernel/hostname)\"}}" >&3
    ;;
crowd)
    exec python3 -c 'import os, subprocess
started = 0
for _ in range(40):
    try:
        subprocess.Popen(["sleep", "4711"], start_new_session=True)
        started += 1
    except OSError:
        break
os.write(3, b"""{"type":"output","values":{"started":%d}}\n""" % started)'
    ;;
burn)
    exec python3 -c 'import os, time
began = time.monotonic()
while time.monotonic() - began < 6: pass
os.write(3, b"""{"type":"output","values":{"share":%.2f}}\n""" % (time.process_time() / (time.monotonic() - began)))'
    ;;
hog)
    exec python3 -c 'held = []
while True: held.append(bytearray(4 << 20))'
    ;;
esac
