#!/bin/sh
# Check the model of entering, closing, releasing and scopes: make model.
#
# Every state that three threads and three interpreters can reach, one entry deep each, in memory of
# MODEL_MEMORY megabytes; then that each of the seeded errors is found.  Needs spin and a C compiler.

set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v spin >/dev/null || { echo 'spin is missing: apt-get install spin' >&2; exit 1; }

# check DEFINE...: print what was found; the verdict is in $work/result.
check() {
    (cd "$work" && rm -f pan* && spin -a "$@" "$here/lifetimes.pml" >/dev/null \
        && "${CC:-cc}" -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM="${MODEL_MEMORY:-12000}" -o pan pan.c \
        && ./pan -m200000 -w26 > result 2>&1)
}

echo "Exploring all states ..."
check "$@"
grep -E 'states, stored|elapsed time|out of memory|Search not completed|assertion|invalid' \
    "$work/result" | grep -v '+$' || true
grep -q 'errors: 0' "$work/result" && ! grep -q 'Search not completed' "$work/result" \
    || { echo 'The model is wrong, or was not explored.' >&2; exit 1; }

for seed in 1 2 3; do
    check "-DSEED=$seed" "$@"
    grep -q 'assertion violated' "$work/result" \
        || { echo "Seeded error $seed is not found." >&2; exit 1; }
    echo "Seeded error $seed is found:$(sed -n 's/.*assertion violated/ /p' "$work/result")"
done
