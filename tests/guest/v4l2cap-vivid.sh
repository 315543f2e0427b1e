#!/bin/bash
# v4l2cap on vivid, multi-planar, with the driver's own faults. It has raw pictures only, so nothing
# is written; every one of them fills its buffer.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
cap=$BUILD/v4l2cap
modprobe vivid n_devs=1 node_types=0x1 multiplanar=2
soon 10 [ -e /dev/video0 ]
ok $? 'vivid is loaded'
like "$("$cap" -L)" '^/dev/video0: vivid \(vivid, multi-planar\): camera without H.264$' 'multi-planar'

# Runs it, and presses the driver's button meanwhile.
press() {
    : >"$work/err"
    "$cap" -s 320x180 -f YUYV 2>"$work/err" >"$work/out" &
    local stream=$!
    soon 10 grep -q 'filled to the last byte' "$work/err"
    ok $? "$1: it takes buffers"
    v4l2-ctl -d /dev/video0 -c "$1=1"
    soon 10 grep -q "$2" "$work/err"
    ok $? "$1: $2"
    kill "$stream" 2>/dev/null
    wait "$stream"
    is $? "$3" "$1: $3"
    is "$(wc -c <"$work/out")" 0 "$1: nothing is written"
}
press inject_v4l2_buf_flag_error 'damaged, by the driver' 0
press inject_fatal_streaming_error 'the driver stopped: restarting the stream' 0
for button in reqbufs qbuf streamon; do
    v4l2-ctl -d /dev/video0 -c "inject_vidioc_${button}_error=1"
    "$cap" -s 320x180 -f YUYV 2>"$work/err" >"$work/out"
    is $? 111 "$button fails: 111"
    like "$(cat "$work/err")" "^v4l2cap: /dev/video0: VIDIOC_${button^^}: [^"$'\n'"]*$" "$button fails: one line"
done
press disconnect unplugged 111
done_testing
