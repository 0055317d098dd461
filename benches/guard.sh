#!/usr/bin/env bash
# Counts the instructions of each view on a small made capture (callgrind) and fails where one
# takes over 10 % more than benches/instructions.tsv has. Time would depend on the machine and
# on what else it does; instructions hardly do: the hash seeds of a run change them by less
# than 0.1 %.
#
#   benches/guard.sh             compare
#   benches/guard.sh --record    write what is counted now into the file
set -euo pipefail
cd "$(dirname "$0")/.."

recorded=benches/instructions.tsv
most=110 # per cent of the recorded figure
views=("table" "--json" "--ndjson" "-V" "--stats" "--check=error" "--flow=all")

command -v valgrind >/dev/null || { echo "guard: valgrind is not installed" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
capture=$work/mixed.pcap

cargo build --locked --release --bin mqtt-inspect
cargo bench --locked --profile dev --bench generate -- mixed 1000000 1 "$capture"
tool=${CARGO_TARGET_DIR:-target}/release/mqtt-inspect

count() {
    local words=()
    [ "$1" = table ] || words=("$1")
    local status=0
    valgrind --tool=callgrind --callgrind-out-file="$work/out" \
        "$tool" "${words[@]}" "$capture" >/dev/null 2>"$work/counted" || status=$?
    # 1: --check found something.
    [ "$status" -le 1 ] || { cat "$work/counted" >&2; return 1; }
    awk '/Collected/ { print $NF }' "$work/counted"
}

if [ "${1:-}" = --record ]; then
    printf 'view\tinstructions\n' >"$work/new"
    for view in "${views[@]}"; do
        printf '%s\t%s\n' "$view" "$(count "$view")" | tee -a "$work/new"
    done
    mv "$work/new" "$recorded"
    exit
fi

failed=0
while IFS=$'\t' read -r view before; do
    [ "$view" != view ] || continue
    now=$(count "$view")
    verdict=holds
    if [ $((now * 100)) -gt $((before * most)) ]; then
        verdict="GREW"
        failed=1
    fi
    printf '%-14s %12d of %12d (%d %%) %s\n' \
        "$view" "$now" "$before" $((now * 100 / before)) "$verdict"
done <"$recorded"
exit $failed
