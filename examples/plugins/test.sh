#!/bin/sh
# Runs the tests of all example plugins: examples/plugins/test.sh [DIRECTORY OF conductor-agent]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
AGENT=$(cd "${1:-$here/../../target/debug}" && pwd)/conductor-agent
export AGENT
for test in "$here"/*/test.py; do
    python3 -B "$test"
done
