# shellcheck shell=bash
# What run and fan share; to be sourced in the top directory, with `check` and `margin` set.
build=${BUILD:-build}
export bench=$build/bench
media=$build/bench-media
export TMPDIR=${TMPDIR:-/tmp}

# In memory: the ring is in it.
results=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "$TMPDIR")")
started=()
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || :
    wait
    rm -rf "$results"
}
trap cleanup EXIT

# make_stream NAME SIZE RATE [OPTION...]: ten seconds as a camera would send them, with delimiters
make_stream() {
    [ -s "$media/$1" ] && return
    local name=$1 size=$2 rate=$3
    shift 3
    mkdir -p "$media"
    ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=s=$size:r=30" -t 10 -pix_fmt yuv420p \
        -c:v libx264 -bf 0 -b:v "$rate" -x264-params aud=1:repeat-headers=1 "$@" \
        -f h264 "$media/$name.part"
    mv "$media/$name.part" "$media/$name"
}

# record LINE FILE...: appends the value of key K in "K=V K=V ..." to $results/FILE.K
record() {
    local pair file=$2
    if [ -z "$1" ]; then
        echo "bench: $file: nothing measured" >&2
        exit 1
    fi
    for pair in $1; do
        echo "${pair#*=}" >>"$results/$file.${pair%%=*}"
    done
}

median() { sort -n "$results/$1" 2>/dev/null | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
quartile() { sort -n "$results/$1" | awk '{v[NR] = $1} END {print v[int((NR + 3) / 4)]}'; }
least() { sort -n "$results/$1" | head -n 1; }
calc() { awk "BEGIN {printf \"$1\", $2}"; }
say() { printf '%s%s\n' "${check:+# }" "$*"; }
# shellcheck disable=SC2059 # the callers' formats are constants
row() { say "$(printf "$@")"; }

# ratio A B: of two medians
ratio() { calc %f "$(median "$1") / $(median "$2")"; }

# pin CPU COMMAND...: where there is such a CPU
if taskset -c 1 true 2>/dev/null; then
    pin() { exec taskset -c "$@"; }
else
    pin() { shift && exec "$@"; }
fi

wait_for_port() {
    local try
    for ((try = 0; try < 50; try++)); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "$(basename "$0"): port $1: nobody listens" >&2
    exit 1
}

# assert WHAT VALUE BAR: value <= bar
tests=0
export failed=0
assert() {
    local verdict=ok
    [ "$(awk "BEGIN {print ($2 <= $3)}")" = 1 ] || verdict='not ok' failed=1
    printf '%s %d - %s: %.2f, bar %.2f\n' "$verdict" $((++tests)) "$1" "$2" "$3"
}
