#!/bin/bash
# usage: guest.t [name...]
# The camera tests, in a virtual machine that has cameras: every script tests/guest/*.sh but those with
# a line "# alone", or those named. What they find comes out here, numbered and under their names. Scripts with the same
# "# run: OPTIONS" line, or none, share a start of the machine; as many machines run at a time as this
# one has processors, since they wait for frames most of the time.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
script_seconds=200 # each, at most
boots=${BOOTS:-2}   # of a machine whose kernel dies

n=0 failed=0
check() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=$((failed + 1))
    fi
}

# Numbers what the scripts of one boot say. Each ends in its plan: one that said less, or failed
# though all its checks are good, is a failed check.
number() {
    local line script='' status count=0 bad=0 plan=none
    while IFS= read -r line; do
        case $line in
        'ok - '*)
            count=$((count + 1))
            check 0 "$script: ${line#ok - }"
            ;;
        'not ok - '*)
            count=$((count + 1)) bad=1
            check 1 "$script: ${line#not ok - }"
            ;;
        1..*) plan=${line#1..} ;;
        '# begin '*)
            script=${line#'# begin '} count=0 bad=0 plan=none
            ;;
        '# end '*)
            status=${line#'# end '}
            [ "$count" = "$plan" ] && [ "$status" = "$bad" ]
            check $? "$script: $count checks of $plan, exit status $status"
            ended=$((ended + 1))
            ;;
        '') ;;
        *) echo "# ${line#'# '}" ;;
        esac
    done
}

# start RECORD OPTIONS SCRIPT...: runs the scripts once; what comes out is added to the record, what the
# kernel says to RECORD.errors. Returns the machine's status.
start() {
    local record=$1 options seconds=$((30 + script_seconds * ($# - 2)))
    read -ra options <<<"$2"
    shift 2
    exec 3> >(exec tee "$record.errors" >&2)
    local status errors=$!
    # shellcheck disable=SC2016  # it is for the guest's shell
    tests/guest/run -t "$seconds" "${options[@]}" bash -c '
        seconds=$1
        export BOOT=$2
        shift 2
        for script; do
            echo "# begin $(basename "$script" .sh)"
            timeout "$seconds" "$script"
            printf "\n# end %d\n" "$?"
        done' bash "$script_seconds" "$boot" "$@" >>"$record" 2>&3
    status=$?
    exec 3>&-
    wait "$errors"
    return "$status"
}

# boot RECORD OPTIONS SCRIPT...: runs the scripts and keeps what comes out, and the machine's status.
# No program is to blame for a kernel that panics, and this one has, in its emulated USB port: the
# scripts that had not ended run once more, in a new machine. Not where the one that was cut off
# had failed already.
boot() {
    local record=$1 machine=$2 boot status ended=0 cut
    shift 2
    for ((boot = 1; ; boot++)); do
        start "$record" "$machine" "${@:ended + 1}"
        status=$?
        ended=$(grep -c '^# end ' "$record")
        cut=$(awk '/^# begin / { at = NR } /^# end / { at = 0 } END { print at ? at : NR + 1 }' "$record")
        [ "$status" = 125 ] || break
        [ "$boot" -lt "$boots" ] || break
        [ "$ended" -lt $# ] || break
        grep -q 'Kernel panic' "$record.errors" || break
        ! tail -n "+$cut" "$record" | grep -q '^not ok ' || break
        sed -i "$cut,\$d" "$record"
        echo "# the kernel died in $(basename "${*:ended + 1:1}"): a new machine" | tee -a "$record" >&2
    done
    echo "$status" >"$record.status"
}

# judge RECORD COUNT: what came out of a start of the machine with so many scripts
judge() {
    ended=0
    number <"$1"
    check "$(cat "$1.status")" "the guest ended by itself"
    [ "$ended" = "$2" ]
    check $? "$ended of $2 scripts ended"
}

tests/guest/build >&2
status=$?
if [ "$status" = 100 ]; then
    echo '1..0 # SKIP the guest is made for amd64 only'
    exit 0
fi
check "$status" 'the guest is made'

declare -A group
for script in tests/guest/*.sh; do
    name=$(basename "$script" .sh)
    [ -x "$script" ] || continue
    if [ $# = 0 ]; then
        ! grep -q '^# alone' "$script" || continue
    else
        [[ " $* " = *" $name "* ]] || continue
    fi
    group[" $(sed -n 's/^# run: //p' "$script")"]+=" $script"
done
[ "$status" = 0 ] || group=()
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT
machines=$(nproc)
count=()
for options in "${!group[@]}"; do
    read -ra scripts <<<"${group[$options]}"
    # Dealt out like cards: neighbours by name are alike long.
    for ((i = 0; i < machines && i < ${#scripts[@]}; i++)); do
        hand=()
        for ((j = i; j < ${#scripts[@]}; j += machines)); do
            hand+=("${scripts[j]}")
        done
        while [ "$(jobs -rp | wc -l)" -ge "$machines" ]; do
            wait -n
        done
        boot "$records/${#count[@]}" "$options" "${hand[@]}" &
        count+=("${#hand[@]}")
    done
done
wait
for i in "${!count[@]}"; do
    judge "$records/$i" "${count[i]}"
done
echo "1..$n"
[ "$failed" = 0 ] && [ "$n" -gt 1 ]
