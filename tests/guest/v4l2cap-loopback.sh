#!/bin/bash
# v4l2cap on v4l2loopback: no clock, no end, a first buffer that nobody wrote.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
check=$(dirname "$0")/capcheck.py
cap=$BUILD/v4l2cap
card 150 >"$work/card"

loopback
ok $? 'loaded'
"$cap" 2>"$work/err" >"$work/out"
is "$? $(cat "$work/err")" '111 v4l2cap: /dev/video0: v4l2loopback: no program writes to it yet' \
    'nobody writes: try again'

"$guest/v4l2feed" -w "$work/go" /dev/video0 "$work/card" &
feeder=$!
soon 10 captures
ok $? 'somebody writes'
"$cap" -n 100 2>"$work/err" >"$work/out" &
reader=$!
sleep 1
touch "$work/go"
wait "$reader"
is $? 0 '100 frames'
like "$("$check" same "$work/card" "$work/out")" '^units 100 strange 0 jumps 0 broken 0' \
    'are the source, whatever came first'
"$check" stamps "$work/out" >"$work/stamps"
like "$(cat "$work/stamps")" 'discontinuities 0 longest 0' 'with the times they had'

"$cap" 2>"$work/err" >"$work/out" &
reader=$!
sleep 2
kill "$feeder"
wait "$reader"
is $? 111 'the writer dies'
like "$(cat "$work/err")" 'no pictures: restarting.*opening it again.*(no program writes|giving up)' \
    'after trying what there is to try'

"$guest/v4l2feed" -z 5 -g 7 /dev/video0 "$work/card" &
soon 10 captures
"$cap" -n 60 2>"$work/err" >"$work/out"
is $? 0 'empty buffers and garbage'
like "$("$check" same "$work/card" "$work/out")" '^units 60 strange 0 jumps [0-9] broken 0' 'are left out'
done_testing
