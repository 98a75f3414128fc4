#!/bin/sh
# Check the models of entering, closing, releasing and scopes: make model.
#
# Every state that three threads and three interpreters can reach, one entry deep each, in memory of
# MODEL_MEMORY megabytes (lifetimes.pml); every state of an owner that blocks (blocking.pml); and that
# each of the seeded errors is found, meanwhile.  Needs spin and a C compiler.

set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v spin >/dev/null || { echo 'spin is missing: apt-get install spin' >&2; exit 1; }

# check NAME MODEL DEFINE...: explore; what was found is in $work/NAME/result.
check() {
    model=$2
    mkdir "$work/$1" && cd "$work/$1" && shift 2
    spin -a "$@" "$here/$model.pml" >/dev/null
    "${CC:-cc}" -O3 -w -DSAFETY -DCOLLAPSE -DMEMLIM="${MODEL_MEMORY:-12000}" -o pan pan.c
    ./pan -m200000 -w25 > result 2>&1
}

# The small model, and all seeded errors, one after the other.
check_others() {
    (check blocking blocking)
    (check blocking1 blocking -DSEED=1)
    for seed in 1 2 3; do
        (check "lifetimes$seed" lifetimes "-DSEED=$seed" "$@")
    done
}

echo "Exploring all states ..."
check_others "$@" &
(check lifetimes lifetimes "$@")
wait $!

for model in lifetimes blocking; do
    result=$work/$model/result
    echo "$model:"
    grep -E 'states, stored|elapsed time|out of memory|Search not completed|assertion|invalid' \
        "$result" | grep -v '+$' || true
    grep -q 'errors: 0' "$result" && ! grep -q 'Search not completed' "$result" \
        || { echo "The model $model is wrong, or was not explored." >&2; exit 1; }
done

for name in lifetimes1 lifetimes2 lifetimes3 blocking1; do
    result=$work/$name/result
    grep -q 'assertion violated' "$result" \
        || { echo "The seeded error $name is not found." >&2; exit 1; }
    echo "Seeded error $name is found:$(sed -n 's/.*assertion violated/ /p' "$result")"
done
