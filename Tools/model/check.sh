#!/bin/sh
# Check the model of entering, closing, releasing and scopes: make model.
#
# Every state that three threads and three interpreters can reach, one entry deep each, in memory of
# MODEL_MEMORY megabytes; and that each of the seeded errors is found, meanwhile.  Needs spin and a C
# compiler.

set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v spin >/dev/null || { echo 'spin is missing: apt-get install spin' >&2; exit 1; }

# check NAME DEFINE...: explore; what was found is in $work/NAME/result.
check() {
    mkdir "$work/$1" && cd "$work/$1" && shift
    spin -a "$@" "$here/lifetimes.pml" >/dev/null
    "${CC:-cc}" -O3 -w -DSAFETY -DCOLLAPSE -DMEMLIM="${MODEL_MEMORY:-12000}" -o pan pan.c
    ./pan -m200000 -w25 > result 2>&1
}

# All seeded errors, one after the other.
check_seeds() {
    for seed in 1 2 3; do
        (check "seed$seed" "-DSEED=$seed" "$@")
    done
}

echo "Exploring all states ..."
check_seeds "$@" &
(check model "$@")
wait $!

result=$work/model/result
grep -E 'states, stored|elapsed time|out of memory|Search not completed|assertion|invalid' \
    "$result" | grep -v '+$' || true
grep -q 'errors: 0' "$result" && ! grep -q 'Search not completed' "$result" \
    || { echo 'The model is wrong, or was not explored.' >&2; exit 1; }

for seed in 1 2 3; do
    result=$work/seed$seed/result
    grep -q 'assertion violated' "$result" \
        || { echo "Seeded error $seed is not found." >&2; exit 1; }
    echo "Seeded error $seed is found:$(sed -n 's/.*assertion violated/ /p' "$result")"
done
