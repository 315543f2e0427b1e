#!/bin/sh
# The rules a machine can check: each is shown to catch its violation, and the tree has none.
cd "$(dirname "$0")/../.." || exit 1
echo 1..2
failed=0

report() { # report NUMBER WHAT COMMAND...: its output only if it fails
    number=$1 what=$2
    shift 2
    if output=$("$@" 2>&1); then
        echo "ok $number - $what"
    else
        failed=1
        echo "not ok $number - $what"
        echo "$output" | grep -v '^ok' | sed 's/^/# /'
    fi
}

report 1 'every rule catches what it is for' tests/lint --self-test
report 2 'the tree keeps the rules' tests/lint
exit $failed
