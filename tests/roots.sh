#!/usr/bin/env bash
# `make test` as README says it, in fresh Debian roots: 12, 13, and a 12 whose node comes from elsewhere and conflicts with
# Debian's npm. As root, with mmdebstrap. `tests/roots.sh [bookworm|trixie|foreign-node …]`; an hour for all of them.
# CI is set: a test that is skipped fails. The host's settings of pip, npm and certificates come along.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

inside() { # ROOT COMMAND: in the root, with /proc, /dev and an own mount and process namespace that end with it
  unshare --mount --pid --fork -- bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mount --rbind /sys "$0/sys"
    exec chroot "$0" /bin/bash -euc "$1"' "$1" "$2"
}

make_root() { # NAME SUITE
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,make,python3,python3-venv "$2" "$work/$1"
  for file in /etc/pip.conf /etc/npmrc /root/.npmrc /root/.config/pip/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || { mkdir -p "$work/$1$(dirname "$file")"; cp -L "$file" "$work/$1$file"; }
  done
  git clone --quiet --no-local "$here" "$work/$1/avaload"
}

foreign_node() { # ROOT: Debian's node under another's name and version, with an npm of its own
  inside "$1" 'apt-get update -qq; cd /tmp; apt-get download -qq nodejs; dpkg-deb -R nodejs_*.deb node; rm nodejs_*.deb'
  (cd "$1/tmp" && npm pack --silent npm@10 >/dev/null && mkdir -p node/usr/lib/node_modules node/usr/bin &&
    tar -xzf npm-*.tgz && mv package node/usr/lib/node_modules/npm && ln -s ../lib/node_modules/npm/bin/npm-cli.js node/usr/bin/npm)
  sed -i -e 's/^Version:.*/Version: 99.0-1elsewhere1/' -e '/^\(Breaks\|Conflicts\|Replaces\|Provides\|Recommends\|Suggests\):/d' \
    -e 's/^Package:.*/&\nConflicts: npm/' "$1/tmp/node/DEBIAN/control"
  inside "$1" 'cd /tmp; dpkg-deb -b node node.deb >/dev/null; apt-get install -y -qq --no-install-recommends ./node.deb >/dev/null 2>&1'
}

failed=0
[ $# -gt 0 ] || set -- bookworm trixie foreign-node
for root in "$@"; do
  suite=${root/foreign-node/bookworm}
  make_root "$root" "$suite"
  [ "$root" != foreign-node ] || foreign_node "$work/$root"
  echo "== $root"
  inside "$work/$root" 'cd /avaload; CI=true make test' || { failed=1; echo "== $root failed"; }
  rm -rf --one-file-system "${work:?}/$root"
done
exit "$failed"
