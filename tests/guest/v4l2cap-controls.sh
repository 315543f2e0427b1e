#!/bin/bash
# v4l2cap's controls on vivid, which has every kind: listed as v4l2-ctl lists them, each set and read
# back, each mistake told.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
cap=$BUILD/v4l2cap
modprobe vivid n_devs=1 node_types=0x1
soon 10 [ -e /dev/video0 ]
ok $? 'vivid is loaded'

"$cap" -l >"$work/list" 2>"$work/err"
is "$? $(cat "$work/err")" '0 ' 'listed'
v4l2-ctl -d /dev/video0 --list-ctrls-menus >"$work/theirs"

# Both lists as "name value default min max step": of menus the entries instead of the range.
ours() {
    perl -ne '
        if (/^(\S+) = (.*)\t\( default: (.*?) min: (\S+) max: (\S+?)(?: step: (\S+?))?\)/) {
            print "$1 $2 $3 $4 $5 ", $6 // 1, "\n"
        } elsif (/^(\S+) = (.*)\t\( default: (.*?) values: (.*) \)/) {
            my ($n, $v, $d, $all) = ($1, $2, $3, $4);
            my @e = $all =~ /\x27([^\x27]*)\x27/g;
            @e = split / /, $all if !@e;
            print "$n $v | $d | ", join(",", @e), "\n"
        }' "$work/list"
}
theirs() {
    perl -ne '
        sub menu { print "$n $e{$v} | $e{$d} | ", join(",", map { $e{$_} } sort { $a <=> $b } keys %e), "\n" if $n; $n = "" }
        if (/^\s+(\d+): (.*?)(?: \(0x[0-9a-f]+\))?$/ && $n) { $e{$1} = $2; next }
        menu();
        $_ = lc =~ s/y_cbcr/y\x27cbcr/r if /^\s+\S+ 0x/;
        if (/^\s+(\S+) 0x\w+ \((?:int|int64)\)\s*: min=(\S+) max=(\S+) step=(\S+) default=(\S+) value=(\S+)/) {
            print "$1 $6 $5 $2 $3 $4\n"
        } elsif (/^\s+(\S+) 0x\w+ \(bool\)\s*: default=(\S+) value=(\S+)/) {
            print "$1 $3 $2 0 1 1\n"
        } elsif (/^\s+(\S+) 0x\w+ \((?:int)?menu\)\s*: min=\S+ max=\S+ default=(\S+) value=(\S+)/) {
            ($n, $d, $v, %e) = ($1, $2, $3);
        }
        END { menu() }' "$work/theirs"
}
is "$(ours | grep -v '^gain ')" "$(theirs | grep -v '^gain ')" 'the same as v4l2-ctl lists'
[ "$(ours | wc -l)" -ge 40 ]
ok $? 'all of them'

# Every one that can be set, to something else and to that it has: the list says so afterwards.
set_all() {
    while IFS= read -r line; do
        local name=${line%% =*} value
        case $line in
        *read-only* | *write-only* | *inactive* | *'not as text'*) continue ;;
        *'values: '\'*) value=${line%"' )"} value=${value##*\'} ;;
        *'values: '*) value=${line% )} value=${value##* } ;;
        *'characters: '*) value=abc ;;
        *' default: 0x'*) value=${line##* max: } value=${value%%)*} ;;
        *' max: '*) value=${line##* max: } value=${value%%[!-0-9]*} ;;
        *) continue ;;
        esac
        echo "$name=$value"
    done
}
grep ' = ' "$work/list" | set_all >"$work/wanted"
args=()
while IFS= read -r wish; do
    args+=(-c "$wish")
done <"$work/wanted"
[ "${#args[@]}" -ge 80 ]
ok $? "$(wc -l <"$work/wanted") to be set"
"$cap" -l "${args[@]}" >"$work/list" 2>"$work/err"
is $? 0 'set'
is "$(cat "$work/err")" '' 'without a word'
while IFS='=' read -r name value; do
    sed -n "s/^$name = '\?\([^$(printf '\t')]*[^'$(printf '\t')]\)'\?$(printf '\t').*/$name=\1/p" "$work/list"
done <"$work/wanted" >"$work/got"
is "$(cat "$work/got")" "$(cat "$work/wanted")" 'and there'

# said STATUS PATTERN ARGUMENT
said() {
    "$cap" -l -c "$3" >"$work/out" 2>"$work/err"
    is $? "$1" "$3: $1"
    like "$(cat "$work/err")" "^v4l2cap: /dev/video0: $2\$" "$3: a line"
    is "$(wc -l <"$work/err")" 1 "$3: one line"
}
said 100 '-c brightness=256: want a number from 0 to 255' brightness=256
said 100 '-c brightness=: want a number from 0 to 255' brightness=
said 100 '-c hue=-129: want a number from -128 to 128' hue=-129
said 100 '-c mute=2: want 0, 1, no, yes, false or true' mute=2
said 100 "-c menu=Menu Item 2: want one of 'Menu Item 1' \(1\), 'Menu Item 3' \(3\), 'Menu Item 4' \(4\)" 'menu=Menu Item 2'
said 100 '-c integer_menu=4: want one of 2, 3, 5, 8, 13, 21, 42' integer_menu=4
said 100 '-c bitmask=1: want a bit mask within 0x80402010' bitmask=1
said 100 '-c string=abcde: want 2 to 4 characters' string=abcde
said 100 '-c button=2: a button: want nothing or 1' button=2
said 100 '-c read_only_integer_32_bits=1: read-only' read_only_integer_32_bits=1
said 100 '-c area=1: an array or a compound, .*' area=1
for wrong in 256 -1 1.5 0x 0x100 '12 ' ' 12' 1e2 abc 99999999999999999999 +5 5-; do
    said 100 "-c brightness=${wrong//+/\\+}: want a number from 0 to 255" "brightness=$wrong"
done
for wrong in '' 2 -1 y TRUEE maybe; do
    said 100 "-c mute=$wrong: want 0, 1, no, yes, false or true" "mute=$wrong"
done
for wrong in 0 2 'Menu Item 5' ''; do
    said 100 "-c menu=$wrong: want one of 'Menu Item 1' .*" "menu=$wrong"
done
said 0 'no control brihgtness; nearest: brightness, .*' brihgtness=3
"$cap" -l -c menu=menu_item_1 -c Mute=yes -c button >"$work/out" 2>"$work/err"
is "$? $(cat "$work/err")" '0 ' 'other spellings'
is "$(grep -c '^menu = Menu Item 1\|^mute = 1' "$work/out")" 2 'are understood'
"$cap" -l -c brightness=77 -c hue=200 >"$work/out" 2>"$work/err"
is "$? $(v4l2-ctl -d /dev/video0 -C brightness)" '100 brightness: 255' 'one mistake, nothing is set'

"$cap" >"$work/out" 2>"$work/err"
is $? 100 'no H.264: nothing to stream'
like "$(cat "$work/err")" '^v4l2cap: /dev/video0: no H264 from this camera, only YUYV .* \.\.\.: ' 'and it says what there is'
like "$("$cap" -L)" '^/dev/video0: vivid \(vivid\): camera without H.264$' '-L'
like "$("$cap" -L -d /dev/video0)" 'YUYV \(YUYV 4:2:2\).*640x480 @ 1 2 4 5' '-L of one'
done_testing
