#!/bin/busybox sh
# Pid 1 of the test guest: a root that can be pivoted away from, kernel file systems, modules, then the tests.
set -e
B=/bin/busybox
if [ ! -e /new ]; then
    # The first root of a kernel cannot be left by pivot_root: move into a tmpfs.
    $B mkdir /new
    $B mount -t tmpfs -o size=2g,mode=755 root /new
    $B cp -a /bin /modules /init /new/
    for directory in /lib /lib64; do [ ! -e $directory ] || $B cp -a $directory /new/; done
    $B mkdir /new/new
    exec $B switch_root /new /init
fi
$B --install -s /bin
export PATH=/bin HOME=/root
mkdir -p /proc /sys /dev /tmp /run /var /root /etc /usr/bin /sbin /usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /sys/fs/cgroup
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${stream%:*}" "/dev/${stream#*:}"; done
echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
echo root:x:0: > /etc/group
echo nameserver 127.0.0.1 > /etc/resolv.conf
hostname guest
while read -r module; do insmod "/modules/$module" || echo "guest: $module was not loaded"; done < /modules/order
ip link set lo up
echo "guest: Linux $(uname -r), cgroup v2 with $(cat /sys/fs/cgroup/cgroup.controllers)"
set +e
if [ -e /bin/bench ]; then
    sh /bin/bench
    echo "guest: the bench ended with $?"
    poweroff -f
fi
for word in $(cat /proc/cmdline); do
    case $word in berth.test=*) set -- "$@" "${word#berth.test=}" ;; esac
done
BERTH=/bin/berth BERTH_RUNTIME=/bin/berth-runtime BERTH_SLOW=8 /bin/machine "$@"
echo "guest: the tests ended with $?"
poweroff -f
