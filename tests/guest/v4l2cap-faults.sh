#!/bin/bash
# v4l2cap when the kernel says no: every call it makes fails once, one run each, and the right status,
# words and a usable device are what is left.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
check=$(dirname "$0")/capcheck.py
cap=$BUILD/v4l2cap
card 150 >"$work/small"
usb_camera "$work/small"
ok $? 'a camera is plugged in'

# nth CALL ERROR COUNT [OPTION...]: runs with the first, second... such call failing, until there is no such one.
# A run ends with 0 where it went on, with at most two lines, or with 111 and one line. COUNT calls
# there are at least; OPTIONs are strace's.
nth() {
    local n status lines bad=0
    for ((n = 1; n < 100; n++)); do
        timeout 20 strace -o "$work/trace" "${@:4}" -e "trace=$1" -e "inject=$1:error=$2:when=$n" \
            "$cap" -n 2 2>"$work/err" >"$work/out"
        status=$?
        grep -q INJECTED "$work/trace" || break
        lines=$(wc -l <"$work/err")
        if ! { [ "$status" = 0 ] && [ "$lines" -le 2 ]; } && ! { [ "$status" = 111 ] && [ "$lines" = 1 ]; }; then
            bad=$((bad + 1))
            echo "# $1 $n: status $status, $lines lines: $(head -n 3 "$work/err")"
        fi
    done
    is "$bad" 0 "$1 fails with $2: $((n - 1)) runs"
    is "$status" 0 'until there is no such call left, and the device is as good as before'
    [ "$n" -gt "$3" ]
    ok $? "more than $3 calls"
}
nth ioctl EIO 30
nth mmap ENOMEM 7 -P /dev/video0
nth openat EMFILE 0 -P /dev/video0
nth ppoll ENOMEM 1
nth writev ENOSPC 1

strace -o /dev/null -e inject=writev:error=EINTR:when=1+2 "$cap" -n 10 2>"$work/err" >"$work/out"
is "$? $("$check" same "$work/small" "$work/out")" '0 units 10 strange 0 jumps 0 broken 0' \
    'writing is interrupted'
strace -o /dev/null -P /proc/self/fd/1 -e inject=openat:error=EACCES "$cap" -n 10 2>"$work/err" |
    cat >"$work/out"
is "${PIPESTATUS[0]} $("$check" same "$work/small" "$work/out")" \
    '0 units 10 strange 0 jumps 0 broken 0' 'the pipe cannot be opened a second time'
done_testing
