#!/bin/bash
# What a viewer gets, in real browsers: this build's camera, muxer and server, and one plain <video>.
# The limits leave room for a busy machine; the numbers themselves are in the diagnostics.
#   BROWSER_SECONDS   how long each browser watches (default 15; 60 for the numbers of a release)
set -u
build=$(realpath "${BUILD:-build}")
cd "$(dirname "$0")/../.." || exit 1
seconds=${BROWSER_SECONDS:-15}
number=0
failed=0

report() { # report STATUS WHAT
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failed=1
    fi
}

expect() { # expect WHAT CONDITION: in Python, over r, the numbers of collect.py; one that is null fails
    python3 -c 'import json, sys; r = json.loads(sys.argv[1]); sys.exit(not eval(sys.argv[2]))' \
        "$line" "$2" 2>/dev/null
    report $? "$browser: $1"
}

temporary=$(mktemp -d)
mkdir "$temporary/www"
cp service/www/* service/httpd.conf tests/browser/watch.html tests/browser/watch.js "$temporary/www"

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
# A process group of its own, so that one signal ends the three.
# shellcheck disable=SC2016  # expanded by the inner shell
setsid sh -c '"$0/testcard" | "$0/h264fmp4" | "$0/fanout" -l "$1" -w "$2"' \
    "$build" "127.0.0.1:$port" "$temporary/www" 2>"$temporary/log" &
group=$!
trap 'kill -- "-$group" 2>/dev/null; wait "$group" 2>/dev/null; rm -rf "$temporary"' EXIT

listening() {
    for _ in {1..50}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.1
    done
    return 1
}

if ! listening; then
    report 1 'fanout listens'
    sed 's/^/# /' "$temporary/log"
    echo '1..1'
    exit 1
fi

# The first browser meets a server a moment old, which has no past to show yet; the second one does.
for browser in chromium firefox; do
    line=$(tests/browser/play "$browser" "http://127.0.0.1:$port/watch.html" "$seconds" 2>"$temporary/error")
    status=$?
    if [ $status -eq 69 ]; then
        number=$((number + 1))
        echo "ok $number # SKIP $browser is not installed"
        continue
    fi
    report $status "$browser: the page reports"
    sed 's/^/# /' "$temporary/error"
    echo "# $line"
    expect "the counter runs at the camera's 30 a second, within 3 %" '29.1 <= r["advance_per_s"] <= 30.9'
    expect 'every cell read is right' 'r["frames"] > 0 and r["crc_failures"] == 0'
    expect 'no error event' 'r["errors"] == []'
    expect 'at least 20 different frames a second' 'r["frames_per_s"] >= 20'
    expect 'the first picture within 1.5 s' 'r["first_picture_ms"] < 1500'
    expect 'steady delay below 1.2 s' '0 < r["delay_ms"] < 1200'
done

[ $failed -eq 0 ] || sed 's/^/# /' "$temporary/log"
echo "1..$number"
exit $failed
