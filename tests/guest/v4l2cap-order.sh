#!/bin/bash
# run: -c 2
# On two processors uvcvideo may hand out frames in another order than they came: what v4l2cap writes
# is in order, and nothing in it refers to what is not there.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
check=$(dirname "$0")/capcheck.py
card 150 >"$work/small"
usb_camera -B "$work/small"
ok $? 'a camera whose late frames follow each other at once'
# What keeps both processors busy makes it late.
(while :; do :; done) &
(while :; do :; done) &
"$BUILD/v4l2cap" -n 300 2>"$work/err" >"$work/out"
is $? 0 '300 frames'
like "$("$check" same "$work/small" "$work/out")" '^units 300 strange 0 jumps [0-9]+ broken 0' 'in order'
sed 's/^/# /' "$work/err"
done_testing
