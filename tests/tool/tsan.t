#!/bin/bash
# ThreadSanitizer: a ring's writer and a reader as threads of one process, and fanout with the thread
# that watches a ring for it. Only the bytes of fragments and init segments may be read while they are
# written (ring.c says how); and races planted on purpose are found.
# shellcheck disable=SC2317  # functions are called through ok
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
out=$build/tsan
work=$(mktemp -d)
export FMP4STREAMER_RINGS=$work/rings
running=()
trap 'kill "${running[@]}" 2>/dev/null; rm -rf "$work"' EXIT
number=0
failed=0

ok() { # ok WHAT COMMAND...: the command succeeds
    local what=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/said" 2>&1; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        head -n 40 "$work/said" | sed 's/^/# /'
        failed=1
    fi
}

compiles() { nice make -s "-j$(nproc)" STRICT=1 CC=clang SAN=thread BUILD="$out" all "$out/tests/ring.t"; }
races() { ! TSAN_OPTIONS=halt_on_error=1 "$@" && grep -q 'ThreadSanitizer: data race' "$work/said"; }
planted() { # fanout whose thread writes what the loop reads
    sed 's/^\( *\)seen = wake;/&\n\1c->there = 1;/' serve/camera.c >"$work/camera.c" &&
        ! cmp -s "$work/camera.c" serve/camera.c &&
        clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=thread -o "$work/fanout" "$work/camera.c" \
            "$out/serve/fanout.o" "$out/libfmp4streamer.a"
}
put() { # put MIB: a camera into the ring, for as long as it is let
    "$build/ringput" -m "$1" cam < <("$build/testcard" -g 15 -s 320x240 -n 300 2>/dev/null | "$build/h264fmp4") &
    camera=$!
    running+=("$camera")
}
serves() { # serves PROGRAM: viewers come and go, and the ring is replaced under them
    local port=$((20000 + ($$ + number) % 20000)) fanout camera viewers=() i
    rm -rf "$FMP4STREAMER_RINGS"
    "$1" -l "127.0.0.1:$port" cam other &
    fanout=$!
    running+=("$fanout")
    put 2
    for i in 1 2 3 4 5 6; do
        curl -s --max-time 2 -o "$work/$i.mp4" "http://127.0.0.1:$port/cam/stream.mp4" &
        viewers+=($!)
        curl -s --max-time 1 -o "$work/raw.mp4" "http://127.0.0.1:$port/cam/raw.mp4" &
        viewers+=($!)
        sleep 0.3
    done
    wait "${viewers[@]}"
    kill "$camera"
    wait "$camera"
    put 4
    sleep 1
    curl -s --max-time 2 -o "$work/after.mp4" "http://127.0.0.1:$port/cam/raw.mp4"
    kill "$camera" "$fanout"
    wait "$fanout" && [ -s "$work/6.mp4" ] && [ -s "$work/after.mp4" ]
}

ok 'compiles' compiles
ok 'a writer and a reader as threads: no race' "$out/tests/ring.t" threads
ok 'a reader that reads past ring_read: found' races "$out/tests/ring.t" plain
ok 'fanout, viewers that come and go, a ring that is replaced: no race' serves "$out/fanout"
ok 'a race in the thread that watches the ring: planted' planted
ok 'and found' races serves "$work/fanout"
echo "1..$number"
exit $failed
