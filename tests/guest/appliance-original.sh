#!/bin/bash
# Configurations as the Python original's users have them, obeyed: a camera with five controls, named
# by a long path; two cameras; rotation, priority, auto_sleep; keyfile and certfile.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
export FMP4STREAMER_RUN=$work/run FMP4STREAMER_RINGS=$work/rings FMP4STREAMER_DATA=$top/service
export FMP4STREAMER_ONE_USER=1
mkdir "$work/run" "$work/rings"
ip link set lo up

# start: the appliance with the file $work/conf, until it serves
start() {
    "$BUILD/fmp4streamer" -c "$work/conf" >"$work/out" 2>"$work/err" &
    appliance=$!
    soon 60 curl -sfo /dev/null http://127.0.0.1:8000/status.json
}
stop() {
    kill "$appliance"
    wait "$appliance"
}
# stream PATH: width and height of the stream there, and the first row of its track's matrix
stream() {
    timeout 20 curl -sN "http://127.0.0.1:8000$1" 2>/dev/null | head -c 3000 >"$work/start"
    python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
at = data.index(b"tkhd") + 4
size = 32 if data[at] else 20
a, b = struct.unpack_from(">2i", data, at + 4 + size + 16)
width, height = struct.unpack_from(">2I", data, at + 4 + size + 52)
print(width >> 16, height >> 16, a >> 16, b >> 16)' "$work/start"
}
value() { v4l2-ctl -d /dev/video0 -C "$1" | sed 's/.*: //'; }
sleeps() { ! pgrep -x v4l2cap >/dev/null; }

card 300 -g 30 >"$work/small"
card 100 -g 30 -s 1280x720 >"$work/large"
usb_camera "$work/small" "$work/large"
ok $? 'a USB camera'
path=/dev/v4l/by-id/usb-A_Maker_with_a_Long_Name_H264_USB_Camera_012-index0
is ${#path} 70 'a path of 70 characters'
mkdir -p "${path%/*}"
ln -s ../../video0 "$path"

cat >"$work/conf" <<EOF
[server]
listen =
port = 8000
priority = 5

[$path]
width = 1280
height = 720
fps = 15
capture_format = H264
rotation = 90
auto_sleep = yes
brightness = -10
contrast = 11
saturation = 12
sharpness = 13
gain = 14
EOF
"$BUILD/fmp4streamer" -c "$work/conf" check 2>"$work/err"
is "$? $(cat "$work/err")" '0 ' 'check: nothing is wrong with it'
start
ok $? 'it serves'
sleeps
ok $? 'the camera sleeps'
is "$(stream /stream.mp4)" '1280 720 0 1' 'size and rotation'
is "$(for control in brightness contrast saturation sharpness gain; do value $control; done | xargs)" \
    '-10 11 12 13 14' 'all five controls are set'
is "$(v4l2-ctl -d /dev/video0 -P | sed -n 's/.*Frames per second: //p')" '15.000 (15/1)' 'the rate'
is "$(ps -o ni= -p "$(pgrep -x fanout)" | xargs)" 5 'the priority'
soon 20 sleeps
ok $? 'and it goes to sleep again'
stop

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=cam -keyout "$work/key.pem" \
    -out "$work/cert.pem" 2>/dev/null
cat >"$work/conf" <<EOF
[server]
keyfile = $work/key.pem
certfile = $work/cert.pem
[/dev/video0]
auto_sleep = no
[/dev/video9]
name = other
command = $BUILD/testcard -s 320x240
EOF
start
ok $? 'two cameras, a key and a certificate'
soon 10 pgrep -x v4l2cap >/dev/null
ok $? 'auto_sleep = no: the camera runs, and nobody watches'
is "$(stream /cam0/stream.mp4)" '640 480 1 0' 'one'
is "$(stream /other/stream.mp4)" '320 240 1 0' 'the other'
is "$(curl -s --cacert "$work/cert.pem" --connect-to cam:8443:127.0.0.1:8443 -o /dev/null \
    -w '%{http_code}' https://cam:8443/)" 200 'HTTPS with that certificate'
stop

for other in 'capture_format = MJPG' 'capture_format = YUYV'; do
    {
        printf '[/dev/video0]\n%s\ndecoder = /dev/video10\nencoder = /dev/video11\n' "$other"
        printf 'encoder_input_format = NV12\n'
    } >"$work/conf"
    "$BUILD/fmp4streamer" -c "$work/conf" check 2>"$work/err"
    is "$? $(wc -l <"$work/err")" '100 1' "$other with an encoder and a decoder: one line"
    like "$(cat "$work/err")" "^fmp4streamer: $work/conf:2: $other: not there yet: only H264" 'says what'
done
done_testing
