#!/bin/bash
# v4l2cap when the kernel says no: every call it makes fails once, one run each, and the right status,
# words and a usable device are what is left. And what it costs, next to v4l2-ctl.
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

# used COMMAND...: microseconds of CPU that the command takes while cat reads from it
used() {
    python3 - "$@" <<'END'
import os
import subprocess
import sys

with open(os.devnull, "w") as null:
    cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=null)
    child = subprocess.Popen(sys.argv[1:], stdout=cat.stdin, stderr=null)
    _, status, usage = os.wait4(child.pid, 0)
print(round((usage.ru_utime + usage.ru_stime) * 1000000) if status == 0 else "failed")
END
}
theirs() {
    used v4l2-ctl -d /dev/video0 --stream-mmap=8 --stream-to=- "--stream-count=$1"
}
ours=$(used "$cap" -n 330) less=$(used "$cap" -n 30)
theirs=$(theirs 330) theirs_less=$(theirs 30)
ours=$(((ours - less) / 300)) theirs=$(((theirs - theirs_less) / 300))
[ $((ours * 10)) -le $((theirs * 11)) ]
ok $? "CPU a frame, at most 1.1 times that of v4l2-ctl: $ours us to $theirs us"
done_testing
