#!/bin/bash
# The ring's order of stores as a model, checked in every interleaving; and broken on purpose, to see
# that the model would tell.
set -u
model=$(cd "$(dirname "$0")/../model" && pwd)/ring.pml
if ! command -v spin >/dev/null; then
    echo "1..0 # SKIP no spin"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
echo 1..6

# check N: the model broken in that way; what pan found
check() {
    spin -a -DBROKEN="$1" "$model" >spin.out 2>&1 &&
        gcc -O2 -w -DSAFETY -DMEMLIM=1500 -DCOLLAPSE -o pan pan.c && ./pan -m200000 >pan.out 2>&1
}

check 0
errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out)
states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
if [ "$errors" = 0 ] && ! grep -q 'max search depth\|out of memory' pan.out; then
    echo "ok 1 - as it is: no torn fragment, no lost wake-up, in $states states"
else
    sed 's/^/# /' spin.out pan.out
    echo "not ok 1 - as it is: ${errors:-no} errors"
fi
what=('' 'bytes in front of tail' 'no fence behind tail' 'head relaxed' 'tail not looked at again'
    'a wait for what comes later')
for i in 1 2 3 4 5; do
    check "$i"
    if grep -q 'errors: 1' pan.out; then
        echo "ok $((i + 1)) - ${what[i]}: found out"
    else
        sed 's/^/# /' pan.out
        echo "not ok $((i + 1)) - ${what[i]}: not found out"
    fi
done
