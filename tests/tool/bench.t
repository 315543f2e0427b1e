#!/bin/sh
# The bars on what h264fmp4 costs and how late it is, measured in about a minute.
cd "$(dirname "$0")/../.." || exit 1
exec tests/bench/run --check --short
