#!/bin/bash
# v4l2loopback, as a camera program of somebody else's would use it.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
card 150 >"$work/card"

loopback
ok $? 'loaded'
"$guest/v4l2feed" -w "$work/go" /dev/video0 "$work/card" &
feeder=$!
soon 10 captures
ok $? 'with a writer it captures H.264'
grab 61 "$work/out" >"$work/lines" &
grabber=$!
sleep 1
touch "$work/go"
wait "$grabber"
is "$(wc -l <"$work/lines")" 61 '61 buffers'
like "$("$guest/aufind" "$work/card" "$work/out")" '^found (5[0-9]|6[01]) lost .* strange .$' \
    'they are the source'
is "$(grep -c 'ts-' "$work/lines")" 0 'their timestamps are of no known clock'

timeout 20 v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=900 --stream-poll >"$work/err" 2>&1 &
viewer=$!
sleep 1
kill "$feeder"
wait "$viewer"
like "$(cat "$work/err")" 'select timeout' 'a writer that dies tells its readers nothing'

"$guest/v4l2feed" -z 5 -g 7 /dev/video0 "$work/card" &
feeder=$!
soon 10 captures
lines=$(grab 60 "$work/out")
[ "$(grep -c 'bytesused: 0 ' <<<"$lines")" -ge 5 ]
ok $? 'empty buffers'
[ "$(grep -c 'bytesused: 5000 ' <<<"$lines")" -ge 4 ]
ok $? 'and buffers of garbage'
done_testing
