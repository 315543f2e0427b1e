#!/bin/bash
# Other processors, under qemu's user emulation: 64 bits and weakly ordered, 32 bits, big-endian.
# Everything compiles without a warning, the unit tests pass, the tools write what they write here, a
# ring holds under stress, and the server serves one.
# shellcheck disable=SC2317  # functions are called through ok
set -u
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(realpath "${BUILD:-build}")
seconds=3 # of stress, each
work=$(mktemp -d)
fanout=
trap '[ -z "$fanout" ] || kill "$fanout"; rm -rf "$work"' EXIT
export FMP4STREAMER_RINGS=$work/rings QEMU_LD_PREFIX TAP_PART=40
number=0
failed=0
cd "$source" || exit 1

ok() { # ok WHAT COMMAND...: the command succeeds
    local what=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/said" 2>&1; then
        echo "ok $number - $target: $what"
    else
        echo "not ok $number - $target: $what"
        tail -n 20 "$work/said" | sed 's/^/# /'
        failed=1
    fi
}

compiles() {
    nice make -s "-j$(nproc)" STRICT=1 CC="$target-gcc" AR="$target-ar" BUILD="$out" HELPERS=service/stage all units "$out/bench/ringstress" &&
        [ ! -s "$work/said" ]
}
unit_tests() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    printf '%s\n' "$@" | xargs -P "$(nproc)" -I TEST sh -c \
        '"$1" TEST >"$2/$(basename TEST).tap" 2>&1 || { echo "TEST: $?"; grep -v "^ok" "$2/$(basename TEST).tap"; exit 1; }' \
        sh "$qemu" "$work"
}
stress() { "$qemu" "$out/bench/ringstress" "$seconds" 4 && grep -q '^ok 1 - .*fragments written' "$work/said"; }
same() { cmp "$work/here.$1" "$work/there.$1"; }
cat_of() { "$@" -b 60 -n 1 cam >"$work/got"; }
refused_there() { ! cat_of there ringcat && grep -q 'not a ring of this version' "$work/said"; }
mux() { "$@" <"$work/card.h264"; }
put() { "$@" -m 2 cam <"$work/here.mp4"; }
there() { "$qemu" "$out/$1" "${@:2}"; }
served() { # a whole picture, and a second of moving ones through the thread that watches the ring
    "$qemu" "$out/testcard" -n 150 | "$qemu" "$out/h264fmp4" | "$qemu" "$out/ringput" -m 4 live &
    local camera=$! status=1
    "$qemu" "$out/fanout" -l "127.0.0.1:$port" live &
    fanout=$!
    for _ in $(seq 100); do
        curl -sf -o "$work/still.mp4" "http://127.0.0.1:$port/live/still.mp4" && break
        sleep 0.1
    done
    curl -s --max-time 2 -o "$work/stream.mp4" "http://127.0.0.1:$port/stream.mp4"
    kill "$fanout"
    wait "$fanout" && [ "$(frames still)" = 1 ] && [ "$(frames stream)" -gt 20 ] && status=0
    fanout=
    wait "$camera" && return "$status"
}
frames() {
    ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$work/$1.mp4"
}

# Input of which every byte that comes out is known: the same on every machine.
"$build/testcard" -x -n 60 >"$work/card.h264"
mux "$build/h264fmp4" >"$work/here.mp4"
put "$build/ringput"
cat_of "$build/ringcat"
mv "$work/got" "$work/here.cat"

for one in aarch64:aarch64-linux-gnu arm:arm-linux-gnueabihf s390x:s390x-linux-gnu; do
    qemu=qemu-${one%%:*}
    target=${one#*:}
    QEMU_LD_PREFIX=/usr/$target
    out=$build/cross/$target
    port=$((20000 + ($$ + number) % 20000))
    if ! command -v "$qemu" "$target-gcc" >/dev/null; then
        number=$((number + 1))
        echo "ok $number - $target # SKIP no $qemu or $target-gcc"
        continue
    fi
    ok 'compiles without a word' compiles
    if [ "$target" = aarch64-linux-gnu ]; then # words as long as here, and the same byte order
        ok "the ring's unit tests" unit_tests "$out"/tests/ring*.t
    else
        ok 'all unit tests' unit_tests "$out"/tests/*.t
    fi
    ok "$seconds s of a ring under stress" stress
    mux there h264fmp4 >"$work/there.mp4"
    ok 'h264fmp4 writes the same bytes' same mp4
    if [ "$target" != s390x-linux-gnu ]; then # which has another byte order, and so another format
        ok "a ring written here is read there" cat_of there ringcat
        mv "$work/got" "$work/there.cat"
        ok 'and is the same' same cat
    else
        ok 'a ring of the other byte order is none' refused_there
    fi
    rm -r "$FMP4STREAMER_RINGS"
    ok 'ringput' put there ringput
    ok 'ringcat, from memory that is only readable' cat_of there ringcat
    mv "$work/got" "$work/there.cat"
    ok 'and it is the same' same cat
    ok 'fanout NAME' served
    rm -r "$FMP4STREAMER_RINGS"
    put "$build/ringput"
done

# Where the processor cannot, the compiler says it in a word.
target=arm-linux-gnueabihf
refuses() {
    ! "$target-gcc" -std=c11 -I. -march=armv6k+fp -fsyntax-only -x c serve/ring.h && grep -q 'no ring on this processor' "$work/said"
}
command -v $target-gcc >/dev/null && ok 'ARMv6 has no ring, and the compiler says so' refuses
echo "1..$number"
exit $failed
