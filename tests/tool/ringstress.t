#!/bin/sh
# A few seconds of what "make stress" does for longer.
exec "${BUILD:-$(dirname "$0")/../../build}/bench/ringstress" 5
