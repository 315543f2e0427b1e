#!/bin/bash
# v4l2cap on the stock uvcvideo: the camera's pictures and times to the byte, what it does not
# have, who may not have it, and how it ends.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
check=$(dirname "$0")/capcheck.py
cap=$BUILD/v4l2cap
card 150 >"$work/small"
card 40 -s 1280x720 >"$work/large"

# said LINES PATTERN WHAT: that many lines on standard error, the last one of v4l2cap's
said() {
    is "$(wc -l <"$work/err")" "$1" "$3: $1 lines"
    like "$(cat "$work/err")" "$2" "$3: says so"
}

usb_camera "$work/small" "$work/large"
ok $? 'a camera is plugged in'
strace -e trace=ioctl -o "$work/trace" "$cap" -n 450 2>"$work/err" | tee "$work/out" |
    "$BUILD/h264fmp4" >"$work/out.mp4"
is "${PIPESTATUS[*]}" '0 0 0' '450 frames'
is "$(cat "$work/err")" '' 'without a word'
is "$("$check" same "$work/small" "$work/out")" 'units 450 strange 0 jumps 0 broken 0' \
    'every byte is the camera'\''s'
is "$("$check" times "$work/out" "$work/trace")" 'times 450 offsets 1' \
    'the capture times are the driver'\''s, at one distance'
is "$("$check" mp4 "$work/out" "$work/out.mp4")" 'times 450 equal 450' \
    'and the times in an MP4 file of it'

"$cap" -s 1280x720 -r 15 -n 20 2>"$work/err" >"$work/out"
is $? 0 'another size and rate'
is "$(cat "$work/err")" '' 'which it has'
is "$("$check" same "$work/large" "$work/out")" 'units 20 strange 0 jumps 0 broken 0' 'is that size'
printf '[server]\nport=x\n[/dev/video0]\nwidth=1280\nheight=720\nfps=15\nname=a\nBrightness=7\n' >"$work/conf"
"$cap" -F "$work/conf" -n 20 2>"$work/err" >"$work/out"
is "$? $(cat "$work/err")" '0 ' 'size, rate and a control from a file'
is "$("$check" same "$work/large" "$work/out")" 'units 20 strange 0 jumps 0 broken 0' 'is that size'
is "$(v4l2-ctl -d /dev/video0 -C brightness)" 'brightness: 7' 'and the control is set'
"$cap" -F "$work/conf" -s 640x480 -c brightness=9 -n 20 2>"$work/err" >"$work/out"
like "$("$check" same "$work/small" "$work/out")" 'units 20 strange 0' 'options count for more'
is "$(v4l2-ctl -d /dev/video0 -C brightness)" 'brightness: 9' 'also for a control'
"$cap" -s 800x600 -r 25 -n 3 2>"$work/err" >"$work/out"
is $? 0 'a size and rate it does not have'
said 1 '^v4l2cap: /dev/video0: gives [0-9]+x[0-9]+ at 30 frames/s, not 800x600 at 25$' 'substituted'

"$cap" -n 60 2>"$work/err1" >"$work/out" &
first=$!
sleep 1
"$cap" -n 3 2>"$work/err" >"$work/out2"
is $? 111 'a second one'
said 1 "^v4l2cap: /dev/video0: busy: open in v4l2cap \\(pid $first\\)$" 'a second one'
"$cap" -l 2>"$work/err" >"$work/list"
is $? 0 'the controls meanwhile'
wait "$first"
is "$? $("$check" same "$work/small" "$work/out")" '0 units 60 strange 0 jumps 0 broken 0' \
    'the first is not disturbed'

for bad in '/dev/video9 111 not.there' '/dev/video1 100 not.a.video.capture' \
    '/dev/null 100 not.a.V4L2.device' '/tmp 100 not.a.V4L2.device'; do
    read -r device status why <<<"$bad"
    "$cap" -d "$device" 2>"$work/err" >"$work/out"
    is $? "$status" "$device: $status"
    said 1 "^v4l2cap: $device: $why" "$device"
done
chmod 600 /dev/video0
setpriv --reuid=65534 --regid=65534 --clear-groups "$cap" 2>"$work/err" >"$work/out"
is $? 111 'no permission'
said 1 '^v4l2cap: /dev/video0: no permission: .*group.*video' 'no permission'

"$cap" 2>"$work/err" >"$work/out" &
stream=$!
sleep 1
kill -USR1 "$stream"
sleep 0.3
kill -USR1 "$stream"
sleep 0.3
kill "$stream"
wait "$stream"
is $? 0 'SIGTERM ends it'
said 1 'no control to ask for a keyframe' 'SIGUSR1 twice'
like "$("$check" same "$work/small" "$work/out")" 'strange 0 jumps 0 broken 0$' 'whole to the end'

"$cap" 2>"$work/err" | head -c 100000 >"$work/out"
is "${PIPESTATUS[0]} $(cat "$work/err")" '0 ' 'the reader goes: quietly 0'
"$cap" 2>"$work/err" >/dev/full
is $? 111 'a full disk'
said 1 'No space left' 'a full disk'

# The wall clock is set while it runs: to the time after, with the discontinuity said once.
"$cap" -n 90 >"$work/out" &
stream=$!
sleep 1
now=$(date +%s)
date -s "@$((now + 1577836800))" >/dev/null
wait "$stream"
date -s "@$((now + 3))" >/dev/null
like "$("$check" stamps "$work/out")" '^units 90 discontinuities 1 longest 157783(67|68)..$' \
    'the clock is set 50 years ahead'
done_testing
