#!/bin/bash
# v4l2cap when things go wrong around it: a slow reader, damaged frames, garbage, a camera that hangs, a
# cable that is pulled. Whatever is written can be decoded.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
check=$(dirname "$0")/capcheck.py
cap=$BUILD/v4l2cap
card 150 >"$work/small"

# said LINES PATTERN WHAT: that many lines on standard error, the last one of v4l2cap's
said() {
    is "$(wc -l <"$work/err")" "$1" "$3: $1 lines"
    like "$(cat "$work/err")" "$2" "$3: says so"
}

usb_camera "$work/small"
ok $? 'a camera is plugged in'
# A pipe of 64 KiB whose reader sleeps for some seconds, and the device goes on.
strace -o /dev/null -e inject=fcntl:error=EPERM "$cap" -n 130 2>"$work/err" | (
    sleep 5
    cat
) >"$work/out"
is "${PIPESTATUS[0]}" 0 'a slow reader'
like "$("$check" same "$work/small" "$work/out")" 'units 130 strange 0 jumps [1-9] broken 0$' \
    'loses whole access units up to a keyframe'
like "$(cat "$work/err")" 'dropped, the reader is slow' 'and a line says so'
kill "$camera"

usb_camera -e 10 "$work/small"
"$cap" -n 60 2>"$work/err" >"$work/out"
is $? 0 'damaged frames'
like "$("$check" same "$work/small" "$work/out")" 'units 60 strange 0 jumps [1-9]* broken 0$' \
    'leave nothing that refers to them'
like "$(cat "$work/err")" 'frames? lost before' 'and are told'
kill "$camera"

usb_camera -g 10 "$work/small"
"$cap" -n 60 2>"$work/err" >"$work/out"
is "$? $("$check" same "$work/small" "$work/out")" '0 units 60 strange 0 jumps 0 broken 0' \
    'garbage between frames is dropped, and breaks nothing'
said 2 '1 frame without H.264 in it.*[4-6] frames without H.264 in it' 'garbage'
kill "$camera"

usb_camera -s 20 "$work/small"
"$cap" -n 60 2>"$work/err" >"$work/out"
is $? 0 'a camera that hangs'
said 1 'no pictures: restarting the stream$' 'a camera that hangs'
is "$("$check" same "$work/small" "$work/out")" 'units 60 strange 0 jumps 1 broken 0' 'goes on'
kill "$camera"

usb_camera -d 30 "$work/small"
"$cap" 2>"$work/err" >"$work/out"
is $? 111 'the cable is pulled'
said 1 '^v4l2cap: /dev/video0: unplugged' 'the cable is pulled'
like "$("$check" same "$work/small" "$work/out")" 'units (2[0-9]|30) strange 0 jumps 0 broken 0' 'what came before'
done_testing
