#!/bin/sh
# Every fuzzer for a few seconds: no crash, and it did run.
#   FUZZ_SECONDS   for each (default 5)
cd "$(dirname "$0")/../.." || exit 1
exec tests/fuzz/run "${FUZZ_SECONDS:-5}"
