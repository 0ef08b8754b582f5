#!/bin/sh
# Installs the programs of tests/programs.txt that are missing, each by itself: one that can't be had doesn't cost the
# others, and what is there already is never touched. RUNLEVEL=1 keeps the packages from starting services.
set -u
cd "$(dirname "$0")"
had_update=no
grep -v '^#' programs.txt | while read -r program package; do
  command -v "$program" >/dev/null && continue
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    [ "$had_update" = yes ] || { apt-get update -qq >/dev/null 2>&1; had_update=yes; }
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive timeout 600 \
      apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 </dev/null
  fi
  command -v "$program" >/dev/null || echo "$program can't be had here (Debian: $package): tests that need it are skipped, with CI set they fail"
done
