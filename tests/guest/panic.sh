#!/bin/bash
# A kernel that dies once: for tool/guest_run.t, to see what guest.t makes of it.
# alone: it would take other scripts' machine with it.
set -u
# shellcheck source=tests/guest/tap.sh
. "$(dirname "$0")/tap.sh"
ok 0 'before it'
if [ "${BOOT-1}" = 1 ]; then
    echo c >/proc/sysrq-trigger
fi
ok 0 'behind it'
done_testing
