#!/usr/bin/env bash
# Each fuzz target of the repository for a time: fuzz.sh 2s
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
  for target in $(grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | cut -c6-); do
    go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$1" | grep -E '^(ok|FAIL|---|panic)|failing' || true
    test "${PIPESTATUS[0]}" = 0
  done
done
