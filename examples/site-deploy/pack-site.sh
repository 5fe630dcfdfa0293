#!/bin/sh
# Packs site/ as site-1.0.0.tar.gz. The same files give the same bytes, so the checksum only changes with the site.
set -eu
cd "$(dirname "$0")"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode='u=rwX,go=rX' -cf - -C site . | gzip -n -9 > site-1.0.0.tar.gz
sha256sum site-1.0.0.tar.gz
