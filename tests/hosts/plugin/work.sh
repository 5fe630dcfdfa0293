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
    while [ "$n" -lt "$seconds" ]; do
        n=$((n + 1))
        echo "line $n"
        sleep 1
    done
    echo "{\"type\":\"output\",\"values\":{\"lines\":$n}}" >&3
    ;;
whoami)
    echo "{\"type\":\"output\",\"values\":{\"user\":\"$(id -un)\"}}" >&3
    ;;
hog)
    exec python3 -c 'held = []
while True: held.append(bytearray(4 << 20))'
    ;;
esac
