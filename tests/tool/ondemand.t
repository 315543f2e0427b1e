#!/bin/bash
# ondemand: the program runs while there are viewers, and only then.
# shellcheck disable=SC2317  # functions are called through ok and within
set -u
build=$(realpath "${BUILD:-build}")
temporary=$(mktemp -d)
export FMP4STREAMER_RINGS=$temporary/rings
mkdir "$FMP4STREAMER_RINGS"
number=0
failed=0

ok() { # ok WHAT COMMAND...: the command succeeds
    local what=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        failed=1
    fi
}

within() { # within SECONDS COMMAND...: it succeeds before that
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -le $until ] || return 1
        sleep 0.05
    done
}

runs() { [ -s "$temporary/pid" ] && kill -0 "$(cat "$temporary/pid")" 2>/dev/null; }
rests() { ! runs; }
exits() { # exits STATUS LINES COMMAND...: with that status and so many lines on standard error
    local status=$1 lines=$2
    shift 2
    timeout 10 "$@" >/dev/null 2>"$temporary/error"
    [ $? -eq "$status" ] && [ "$(wc -l <"$temporary/error")" -eq "$lines" ]
}

# A camera that says its process number and notes when it is asked for a keyframe.
cat >"$temporary/camera" <<'EOF'
#!/bin/bash
trap 'echo key >>"$1/keys"' USR1
echo $$ >"$1/pid"
while :; do sleep 0.1; done
EOF
chmod +x "$temporary/camera"

# A viewer is whoever holds the lock on a slot: ringcat does, while it waits.
"$build/testcard" -n 30 -x | "$build/h264fmp4" | "$build/ringput" -m 1 cam
"$build/ondemand" -l 1 cam "$temporary/camera" "$temporary" &
ondemand=$!
trap 'kill -9 $ondemand 2>/dev/null; wait 2>/dev/null; rm -rf "$temporary"' EXIT

sleep 1
ok 'without viewers nothing runs' rests
"$build/ringcat" cam >"$temporary/out.mp4" &
viewer=$!
ok 'with a viewer it does, within a second' within 1 runs
first=$(cat "$temporary/pid")
kill $viewer
wait $viewer 2>/dev/null
sleep 0.4
ok 'it lingers' runs
"$build/ringcat" cam >"$temporary/out.mp4" &
viewer=$!
sleep 1.5
ok 'a viewer who comes meanwhile keeps it' test "$(cat "$temporary/pid")" = "$first" -a -d "/proc/$first"
kill -9 $viewer
wait $viewer 2>/dev/null
ok 'a viewer that is killed is one that left' within 4 rests

"$build/ringcat" cam >"$temporary/out.mp4" &
viewer=$!
ok 'and again' within 1 runs
camera=$(cat "$temporary/pid")
kill -9 $ondemand
wait $ondemand 2>/dev/null
ok 'it does not outlive ondemand' within 2 rests
kill $viewer
wait $viewer 2>/dev/null

"$build/ondemand" -l 1 cam "$temporary/camera" "$temporary" &
ondemand=$!
"$build/ringcat" cam >"$temporary/out.mp4" &
viewer=$!
within 2 runs
[ "$(cat "$temporary/pid")" != "$camera" ] || sleep 0.5
kill $ondemand
wait $ondemand
ok 'SIGTERM ends both, with 0' test $? -eq 0
ok 'the program is gone by then' rests

# A camera that makes a keyframe every five minutes, or when it is asked to: as the first viewer comes, and
# a second later, since ringput wants to know whether it does.
"$build/ondemand" -l 3 slow "$build/testcard" -g 9000 | "$build/ringput" -m 4 -t 60 slow "$build/h264fmp4" &
port=$((20000 + $$ % 20000))
"$build/fanout" -l "127.0.0.1:$port" slow 2>/dev/null &
fanout=$!
keyframes() { # keyframes SECONDS: in so much of the stream, as a player gets it
    curl -s --max-time "$1" "http://127.0.0.1:$port/raw.mp4" >"$temporary/raw.mp4"
    ffprobe -v error -show_entries packet=flags -of csv=p=0 "$temporary/raw.mp4" | grep -c '^K'
}
sleep 0.5
ok 'the first viewer sees two keyframes' test "$(keyframes 4)" -eq 2
ok 'one who joins long after it gets another at once' test "$(keyframes 1)" -eq 2
kill $fanout
no_camera() { ! pgrep -f -- "^$build/testcard -g 9000" >/dev/null; }
ok 'and then the camera rests' within 8 no_camera
kill "$(pgrep -f -- "^$build/ondemand -l 3 slow")"

ok 'a program that ends by itself passes its status on' exits 7 1 \
    "$build/ondemand" cam sh -c 'exit 7'
ok 'one that is killed is worth another try' exits 111 1 "$build/ondemand" cam sh -c 'kill -9 $$'
ok 'one that does not exist is not' exits 100 1 "$build/ondemand" cam /nonexistent
# shellcheck disable=SC2016  # expanded by the inner shell
ok 'SIGUSR1 does not end a program that knows nothing of it' exits 5 1 \
    "$build/ondemand" cam sh -c 'kill -USR1 $$; exit 5'
kill $viewer
wait $viewer 2>/dev/null

ok 'no name' exits 100 1 "$build/ondemand"
ok 'no program' exits 100 1 "$build/ondemand" cam
ok 'a bad name' exits 100 1 "$build/ondemand" ../cam true
ok 'a bad -l' exits 100 1 "$build/ondemand" -l 1x cam true
FMP4STREAMER_RINGS=$temporary/none/such ok 'no directory' exits 111 1 "$build/ondemand" cam true
echo "1..$number"
exit $failed
