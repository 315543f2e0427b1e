# shellcheck shell=bash disable=SC2034,SC2317  # what it sets and offers is used where it is sourced
# For the scripts that run in the guest: source "$(dirname "$0")/tap.sh" first, then checks, then
# done_testing. Standard output is TAP without numbers, which tests/tool/guest.t gives them.
#
# A script's jobs end and its modules go with it, so that the next finds no device.
guest=$BUILD/guest
work=$(mktemp -d)
run=0 failed=0

finish() {
    local job
    for job in $(jobs -p); do
        kill "$job" 2>/dev/null
    done
    wait
    rm -rf "$work"
    # A device is busy until its last user is gone, which may be a moment after its end.
    for _ in $(seq 50); do
        modprobe -qr vivid v4l2loopback uvcvideo vhci-hcd && break
        sleep 0.1
    done
}
trap finish EXIT
trap 'exit 1' TERM INT

# ok STATUS WHAT: 0 is good, as of the command before
ok() {
    run=$((run + 1))
    if [ "$1" = 0 ]; then
        echo "ok - $2"
    else
        echo "not ok - $2"
        failed=$((failed + 1))
    fi
}

# differ GOT WANTED: what there is to see, in so many lines
differ() {
    printf '%s\n' "$1" | head -n 20 | sed 's/^/# got: /'
    printf '%s\n' "$2" | sed 's/^/# wanted: /'
}

# is GOT WANTED WHAT
is() {
    [ "$1" = "$2" ]
    ok $? "$3"
    [ "$1" = "$2" ] || differ "$1" "$2"
}

# like GOT PATTERN WHAT: a bash regular expression
like() {
    [[ $1 =~ $2 ]]
    ok $? "$3"
    [[ $1 =~ $2 ]] || differ "$1" "$2"
}

done_testing() {
    echo "1..$run"
    [ "$failed" = 0 ]
    exit
}

# soon SECONDS COMMAND...: whether it succeeds before they are over
soon() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# card FRAMES [OPTION...]: a stream of the test card's, that many frames long
card() {
    "$BUILD/testcard" -x -n "$@"
}

# usb_camera [OPTION...] FILE...: a USB camera is plugged in, and /dev/video0 is there. $camera is
# the process to kill to pull the cable.
usb_camera() {
    modprobe -a vhci-hcd uvcvideo || return
    soon 10 [ ! -e /dev/video0 ] || return
    "$guest/uvccam" "$@" &
    camera=$!
    soon 10 [ -e /dev/video0 ]
}

# loopback: v4l2loopback's /dev/video0
loopback() {
    modprobe v4l2loopback devices=1 video_nr=0 exclusive_caps=1 max_buffers=8 &&
        soon 10 [ -e /dev/video0 ]
}

# whether /dev/video0 captures H.264 now: v4l2loopback's does while something is written to it
captures() {
    v4l2-ctl -d /dev/video0 -V 2>/dev/null | grep -q "'H264'"
}

# grab FRAMES FILE [OPTION...]: what v4l2-ctl captures, and on standard output a line for each
# buffer
grab() {
    local frames=$1 file=$2
    shift 2
    timeout 60 v4l2-ctl -d /dev/video0 "$@" --stream-mmap --stream-count="$frames" --stream-to="$file" \
        --verbose 2>&1 | grep 'cap dqbuf'
}
