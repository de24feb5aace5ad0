#!/bin/sh
# Tells all there is below the data root of a daemon that runs, for the host to judge.
cd /data/root || exit 1
for _ in $(seq 200); do
    [ -z "$(ls ingest)" ] && break
    usleep 100000
done
sed 's/^/log /' /run/daemon.log
berth images -a --no-trunc --format 'name {{.Repository}}:{{.Tag}} {{.ID}}' || exit 1
berth ps -a --no-trunc --format 'container {{.ID}}' || exit 1
berth store check --data-root /data/root | sed 's/^/check /'
find . -path ./containers -prune -o -type f ! -name 'berth.db*' ! -name ballast -print0 | xargs -0 sha256sum | sed 's/^/file /'
find . -path ./containers -prune -o -type l -print0 | xargs -0 stat -c 'link %N'
find . -mindepth 1 -print0 | xargs -0 stat -c 'stat %f %u %g %n'
# Documents, each in one line: there are none of 64 KiB here.
documents=$(find index.json blobs -type f -size -128 -print0 | xargs -0 grep -l '^{')
awk 'FNR == 1 { printf "\njson %s ", FILENAME } { printf "%s", $0 }' $documents
