#!/bin/bash
# Every tool has a page beside its source: its SYNOPSIS is what -h prints, every option it takes is
# explained, and so are the statuses it ends with.
# shellcheck disable=SC2317  # functions are called through ok
set -u
build=$(realpath "${BUILD:-build}")
cd "$(dirname "$0")/../.." || exit 1
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

words() { tr -s ' \n' '\n' | grep .; }
section() { # section FIRST NEXT: the page's text between the two headings
    mandoc -T ascii "$page" | sed 's/.\x08//g' | sed -n "/^$1/,/^$2/p" | sed '1d;$d'
}
same() { diff <(words <<<"$1") <(words <<<"$2") | sed 's/^/# /' | (! grep .); }
explained() { # each option of the usage begins an item of the page
    local option options
    options=$(words <<<"$usage" | grep -o '^\[*-[A-Za-z]' | tr -d '[]' | sort -u)
    for option in $options; do
        grep -q -- "^\.It Fl ${option#-}\b" "$page" || { echo "# $option" && return 1; }
    done
}
fails() { # fails STATUS COMMAND...: with one line on standard error that begins with the tool's name
    local status=$1 error
    shift
    error=$("$@" 2>&1 >/dev/null </dev/null)
    [ $? -eq "$status" ] && [ "$(wc -l <<<"$error")" -eq 1 ] && [[ $error == "$tool: "* ]]
}

ok 'there are pages' test -e capture/testcard.1
for page in */*.1; do
    tool=$(basename "$page" .1)
    usage=$("$build/$tool" -h) || usage='-h failed'
    ok "$tool: -h is the SYNOPSIS" same "${usage#usage:}" "$(section SYNOPSIS DESCRIPTION)"
    ok "$tool: its options are explained" explained
    ok "$tool: -V" grep -Eqx "$tool [0-9.]+" <("$build/$tool" -V)
    ok "$tool: an option that is none" fails 100 "$build/$tool" -@
    ok "$tool: exit statuses" test -n "$(section 'EXIT STATUS' EXAMPLES)"
done
for tool in $(make -s tools); do
    ok "$tool has a page" test -e "$tool.1"
done

echo "1..$number"
exit $failed
