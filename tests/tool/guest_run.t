#!/bin/bash
# tests/guest/run keeps its word: statuses, output, what of the host a guest can change, its ports.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tests/guest/build >&2
status=$?
if [ "$status" = 100 ]; then
    echo '1..0 # SKIP the guest is made for amd64 only'
    exit 0
fi
echo 1..19

n=0 failed=0
# is GOT WANTED WHAT
is() {
    n=$((n + 1))
    if [ "$1" = "$2" ]; then
        echo "ok $n - $3"
    else
        printf '# got:    %s\n# wanted: %s\n' "$1" "$2"
        echo "not ok $n - $3"
        failed=1
    fi
}
is "$status" 0 'the guest is made'

# shellcheck disable=SC2016  # it is for the guest's shell
tests/guest/run -c 2 -d "$work" bash -c '
    printf "%s|" "$@" "$(nproc)" "$PWD" "$(uname -s)"
    printf "\r\n\0\377"
    echo error >&2
    echo from the guest >"$1/shared"
    echo lost >"$0"
    exit 7' "$PWD/tests/guest/written" "$work" 'a  "b"' >"$work/out" 2>"$work/err"
is $? 7 "the program's own status"
printf '%s|' "$work" 'a  "b"' 2 "$PWD" Linux >"$work/wanted"
printf '\r\n\0\377' >>"$work/wanted"
cmp "$work/out" "$work/wanted" >&2
is $? 0 'arguments, processors, directory; output as it is'
is "$(cat "$work/err")" error 'its errors, and nothing of the kernel'
is "$(cat "$work/shared")" 'from the guest' 'the directory of -d is shared'
[ ! -e tests/guest/written ]
is $? 0 'nothing else is'

tests/guest/run sh -c 'echo c >/proc/sysrq-trigger' 2>"$work/err"
is $? 125 'a panic is 125'
is "$(grep -c 'Kernel panic' "$work/err")" 1 'and can be read'
tests/guest/run -t 6 sleep 100 2>"$work/err"
is $? 124 'out of time is 124'
tests/guest/run -c 0 true 2>"$work/err"
is $? 100 'a bad number is 100'
is "$(cat "$work/err")" 'run: -c: 0: want a number from 1 to 8' 'and is named'

BOOTS=2 tests/tool/guest.t panic >"$work/out" 2>"$work/err"
is $? 0 'guest.t: a kernel that dies once'
is "$(grep -c '^ok .*panic: ' "$work/out")" 3 'its script is run once more, and counts once'
is "$(grep -c '^# the kernel died in panic.sh: ' "$work/out")" 1 'which is said'
BOOTS=1 tests/tool/guest.t panic >"$work/out" 2>"$work/err"
is $? 1 'one that dies each time'
is "$(grep '^not ok ' "$work/out" | cut -d ' ' -f 5-)" $'the guest ended by itself\n0 of 1 scripts ended' \
    'is a failure'
is "$(grep -c 'Kernel panic' "$work/err")" 1 'and can be read'

free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tests/guest/run -t 60 -p "$free:8000" sh -c \
    "busybox httpd -f -p 8000 -h tests/guest" &
guest=$!
curl -s --retry 50 --retry-delay 1 --retry-all-errors -m 50 "http://127.0.0.1:$free/README" |
    cmp - tests/guest/README >&2
is $? 0 'a port of the guest on the host'
kill "$guest"
wait "$guest"
is $? 143 'ended by a signal'
exit "$failed"
