#!/bin/sh
# Mounts the disk with the options $1 (the file system goes through its journal) and starts the daemon, all its system calls as they are or,
# named in $2, answered with success and not done.
mount -t ext4 -o "$1" /dev/vda /data || exit 1
set -- "$2" daemon --data-root /data/root --exec-root /run/berth --host unix:///run/berth.sock --bridge none
lies=$1
shift
if [ -n "$lies" ]; then
    strace -f --seccomp-bpf -o /dev/null -e "inject=$lies:retval=0" /bin/berth "$@" > /run/daemon.log 2>&1 3>&- &
else
    /bin/berth "$@" > /run/daemon.log 2>&1 3>&- &
fi
until berth version > /dev/null 2>&1; do
    kill -0 $! || { cat /run/daemon.log; exit 1; }
    usleep 20000
done
