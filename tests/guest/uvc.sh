#!/bin/bash
# The emulated USB camera behind the stock uvcvideo: what the driver makes of it and of its faults.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
card 150 >"$work/small"
card 40 -s 1280x720 >"$work/large"

usb_camera "$work/small" "$work/large"
ok $? 'a camera is plugged in'
like "$(v4l2-ctl -d /dev/video0 -D)" 'uvcvideo.*H.264 test camera' 'it is uvcvideo that drives it'
formats=$(v4l2-ctl -d /dev/video0 --list-formats-ext)
is "$(grep -c 'Discrete \(640x480\|1280x720\)' <<<"$formats")" 2 'two sizes'
is "$(grep -c '(\(30\|15\|5\).000 fps)' <<<"$formats")" 6 'three rates of each'

v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=150 --stream-to=- 2>"$work/err" >"$work/out"
ok $? 'v4l2-ctl streams to its standard output'
like "$("$guest/aufind" "$work/small" "$work/out")" '^found 150 lost .? strange 0$' \
    '150 frames are the source, byte for byte'
lines=$(grab 20 "$work/out" -v width=1280,height=720,pixelformat=H264 -p 15)
like "$("$guest/aufind" "$work/large" "$work/out")" '^found 20 lost .? strange 0$' 'the other size'
like "$lines" 'seq: *19 .*fps: 1[45]\..*ts-monotonic' 'at the other rate'
v4l2-ctl -d /dev/video0 -c brightness=-10
is "$(v4l2-ctl -d /dev/video0 -C brightness)" 'brightness: -10' 'a control is kept'

timeout 20 v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=900 >"$work/err" 2>&1 &
viewer=$!
sleep 1
kill "$camera"
wait "$viewer"
like "$(cat "$work/err")" 'VIDIOC_DQBUF: failed' 'the cable is pulled: no more buffers'
soon 5 [ ! -e /dev/video0 ]
ok $? 'the device is gone'

usb_camera -d 30,1000 "$work/small"
ok $? 'a camera that is pulled after 30 frames, and plugged in again'
lines=$(grab 900 "$work/out")
like "$("$guest/aufind" "$work/small" "$work/out")" '^found (2[0-9]|30) lost .? strange 0$' \
    'its frames until then'
soon 5 [ ! -e /dev/video0 ]
ok $? 'gone'
soon 5 [ -e /dev/video0 ]
ok $? 'and there again'
lines=$(grab 10 "$work/out")
is "$(wc -l <<<"$lines")" 10 'and it streams'
kill "$camera"

usb_camera -e 10 "$work/small"
lines=$(grab 40 "$work/out")
like "$("$guest/aufind" "$work/small" "$work/out")" '^found 40 lost ([4-9]|1.) strange 0$' \
    'frames with the error bit are dropped'
like "$lines" 'seq: *8 .*seq: *10 ' 'and leave a gap in the sequence'
kill "$camera"

usb_camera -g 10 "$work/small"
lines=$(grab 44 "$work/out")
is "$(grep -c 'bytesused: 5000 ' <<<"$lines")" 4 'garbage in between comes through'
kill "$camera"

usb_camera -z 10 "$work/small"
lines=$(grab 40 "$work/out")
is "$(grep -c 'bytesused: 0 ' <<<"$lines")" 0 'empty frames do not'
like "$("$guest/aufind" "$work/small" "$work/out")" '^found 40 lost .? strange 0$' 'the others do'
kill "$camera"

# What a real encoder makes: several slices a frame, parameter sets and SEI where it likes.
ffmpeg -v error -f lavfi -i testsrc=size=640x480:rate=30 -frames:v 60 -c:v libx264 -g 30 -bf 0 \
    -x264-params slices=4:aud=0 -f h264 "$work/x264"
usb_camera "$work/x264"
lines=$(grab 60 "$work/out")
like "$("$guest/aufind" "$work/x264" "$work/out")" '^found 60 lost .? strange 0$' 'what x264 makes'
kill "$camera"

usb_camera -s 20,2000 "$work/small"
lines=$(grab 30 "$work/out")
like "$("$guest/aufind" "$work/small" "$work/out")" '^found 30 lost .? strange 0$' 'a stall: all is there'
like "$lines" 'delta: (19|2[0-9])[0-9]{2}\.' 'two seconds late'
kill "$camera"

usb_camera -s 20 "$work/small"
timeout 4 v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=30 >"$work/err" 2>&1
is $? 124 'a stall without an end has none'
kill "$camera"
done_testing
