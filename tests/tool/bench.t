#!/bin/sh
# The bars on cost and delay, measured in about a minute and a half.
cd "$(dirname "$0")/../.." || exit 1
exec tests/bench/run --check --short
