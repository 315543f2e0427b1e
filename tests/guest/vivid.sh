#!/bin/bash
# vivid: a camera without H.264, with every kind of control, that can be broken on request.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"

modprobe vivid n_devs=1 node_types=0x1 no_error_inj=0 && soon 10 [ -e /dev/video0 ]
ok $? 'loaded'
formats=$(v4l2-ctl -d /dev/video0 --list-formats)
is "$(grep -c "'H264'" <<<"$formats")" 0 'no H.264'
[ "$(grep -c "^.*\[[0-9]*\]: '" <<<"$formats")" -gt 60 ]
ok $? 'but every raw format'
for kind in int bool menu intmenu str bitmask int64 button; do
    like "$(v4l2-ctl -d /dev/video0 -L)" "\($kind\)" "a control of type $kind"
done
lines=$(grab 10 /dev/null -v width=640,height=480,pixelformat=YUYV)
is "$(grep -c "bytesused: $((640 * 480 * 2)) " <<<"$lines")" 10 'it streams'

timeout 20 v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=900 --stream-poll >"$work/err" 2>&1 &
viewer=$!
sleep 1
v4l2-ctl -d /dev/video0 -c disconnect=1
wait "$viewer"
[ $? != 124 ]
ok $? 'disconnected on request'
done_testing
