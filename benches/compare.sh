#!/usr/bin/env bash
# Times mqtt-inspect beside tshark, tcpdump, capinfos and cat on captures of the project's own
# generator, and writes what it finds as a Markdown table (target/compare.md) for the README.
#
#   benches/compare.sh           captures of 1 MB and 100 MB
#   benches/compare.sh --large   and of 1 GB
#   RUNS=5                       runs of each pair; tool and peer take turns
#   KEEP=/some/folder            where the captures are made and kept
#
# CPU time is what /usr/bin/time calls user and sys; a ratio is that of one pair of runs, so a
# machine that slows down for a while slows both down.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${RUNS:-5}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/compare.md
tool=$target/release/mqtt-inspect
if [ -n "${KEEP:-}" ]; then
    folder=$KEEP
    mkdir -p "$folder"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
else
    folder=$(mktemp -d)
    work=$folder
    trap 'rm -rf "$work"' EXIT
fi

cargo build --locked --release --bin mqtt-inspect
made() { # kind octets seed name
    [ -s "$folder/$4" ] ||
        cargo bench --quiet --locked --profile dev --bench generate -- "$1" "$2" "$3" "$folder/$4"
}
made mixed 1000000 1 mixed-1MB.pcap
made mixed 100000000 2 mixed-100MB.pcap
made tiny 100000000 3 tiny-100MB.pcap
made many 150000000 4 many-150MB.pcap
[ "${1:-}" != --large ] || made mixed 1000000000 5 mixed-1GB.pcap

# Runs a command with its output thrown away; adds CPU and wall seconds and peak KiB to $1.
timed() {
    local to=$1
    shift
    /usr/bin/time -q -o "$work/time" -f '%U %S %e %M' "$@" >/dev/null 2>&1 || true
    awk 'NF == 4 { print $1 + $2, $3, $4 }' "$work/time" >>"$to"
}

# Minimum, median and maximum of the numbers on standard input.
spread() {
    sort -g | awk -v f="$1" '{ a[NR] = $1 }
        END { printf f " [" f "–" f "]", a[int((NR + 1) / 2)], a[1], a[NR] }'
}

column() { awk -v c="$1" '{ print $c }' "$2"; }

compare() { # file, words of the tool, peer's words with FILE in them
    local file=$folder/$1 mine=() peer=()
    [ -s "$file" ] || return 0
    read -ra mine <<<"$2"
    read -ra peer <<<"${3//FILE/$file}"
    command -v "${peer[0]}" >/dev/null || { echo "skipped: ${peer[0]} is not installed" >&2; return 0; }
    rm -f "$work/mine" "$work/peer"
    cat "$file" >/dev/null
    # The clock has steps of 10 ms: short runs are timed several as one.
    local times=1
    [ "$(wc -c <"$file")" -gt 500000000 ] || times=5
    [ "$(wc -c <"$file")" -gt 10000000 ] || times=20
    for _ in $(seq "$runs"); do
        timed "$work/mine" sh -c 'n=$1; shift; while [ "$n" -gt 0 ]; do "$@"; n=$((n - 1)); done' \
            sh "$times" "$tool" "${mine[@]}" "$file"
        timed "$work/peer" "${peer[@]}"
    done
    awk -v n="$times" '{ print $1 / n, $2 / n, $3 }' "$work/mine" >"$work/mine-each"
    paste "$work/mine-each" "$work/peer" |
        awk '{ print $4 / ($1 > 0 ? $1 : 0.001), $5 / ($2 > 0 ? $2 : 0.01) }' >"$work/ratios"
    printf '| %s | `%s` | `%s` | %s | %s | %s | %s | %s |\n' "$1" "${2:-table}" "$(sed "s/ -r FILE//; s/ FILE//" <<<"$3")" \
        "$(column 1 "$work/mine-each" | spread %.3f)" "$(column 1 "$work/peer" | spread %.2f)" \
        "$(column 1 "$work/ratios" | spread %.1f)" "$(column 2 "$work/ratios" | spread %.1f)" \
        "$(column 3 "$work/mine-each" | sort -g | tail -1 | awk '{ printf "%.0f", $1 / 1024 }') / $(
            column 3 "$work/peer" | sort -g | tail -1 | awk '{ printf "%.0f", $1 / 1024 }')" |
        tee -a "$out"
}

{
    echo "Medians of $runs paired runs, [minimum–maximum]; $(nproc) processors," \
        "$(tshark --version 2>/dev/null | awk 'NR == 1 { print $1, $2, $3 }')."
    echo
    echo "| capture | view | peer | CPU s | peer's CPU s | CPU ratio | wall ratio | peak MiB, ours / peer |"
    echo "|---|---|---|---|---|---|---|---|"
} | tee "$out"

fields="tshark -r FILE -Y mqtt -T fields -e mqtt.msgtype"
compare mixed-1MB.pcap "" "tshark -r FILE -Y mqtt"
for file in mixed-100MB.pcap mixed-1GB.pcap; do
    compare $file "" "tshark -r FILE -Y mqtt"
    compare $file "" "tcpdump -nn -r FILE"
    compare $file "" "capinfos FILE"
    compare $file "--json" "tshark -r FILE -Y mqtt -T json"
    compare $file "--stats" "$fields"
    compare $file "--check" "$fields"
    compare $file "--flow=all" "$fields"
    compare $file "--stats=types" "cat FILE"
done
compare tiny-100MB.pcap "" "tshark -r FILE -Y mqtt"
compare many-150MB.pcap "" "tshark -r FILE -Y mqtt"
