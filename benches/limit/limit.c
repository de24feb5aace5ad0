/*
 * The least that any engine must do for one container of Docker's shape, and nothing else: no daemon, no image store, no logs,
 * no state. What an engine takes is divided by what this takes.
 *
 * One run: cgroups made and limited, clone3 with all namespaces, cgroups joined, overlay, Docker's default mounts, devices,
 * read-only and masked paths, (a veth pair on a bridge with an address and a route,) pivot, capabilities, filter, exec, wait,
 * cgroups and upper directory removed. Each run's time goes to standard output in microseconds.
 *
 * With `--hold n` there are n containers at once instead, of a program that does not end: how much memory the kernel itself
 * needs for them. "ready" goes to standard output, and the end of standard input ends them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct {
    const char *lower, *work, *filter, *bridge, *program, *cgroup;
    int runs, warm, hold, prefix;
    int plain; /* the root is a directory, as in an OCI bundle, and no layers */
    struct in_addr first;
    int tasks; /* join v1 cgroups by `tasks` instead of `cgroup.procs` */
} options = {.runs = 100, .warm = 10, .program = "/true", .cgroup = "berth-limit", .tasks = 1};

static struct sock_fprog filter;
static char merged[4096];
static int number; /* of the container in hand; names of what it has end with it */

static void die(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(long answer, const char *what)
{
    if (answer < 0)
        die(what);
}

/* ---- cgroups ---- */

struct value {
    const char *file, *value;
};

struct controller {
    const char *name;
    struct value values[14];
    int there;
};

/* The limits are those of the bench: --memory 64m --cpus 1 --pids-limit 100; the devices are Docker's. */
static struct controller v1[] = {
    {"memory", {{"memory.limit_in_bytes", "67108864"}, {"memory.memsw.limit_in_bytes", "134217728"}}, 0},
    {"cpu", {{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "100000"}}, 0},
    {"pids", {{"pids.max", "100"}}, 0},
    {"devices",
     {{"devices.deny", "a"},
      {"devices.allow", "c *:* m"},
      {"devices.allow", "b *:* m"},
      {"devices.allow", "c 1:3 rwm"},
      {"devices.allow", "c 1:5 rwm"},
      {"devices.allow", "c 1:7 rwm"},
      {"devices.allow", "c 1:8 rwm"},
      {"devices.allow", "c 1:9 rwm"},
      {"devices.allow", "c 5:0 rwm"},
      {"devices.allow", "c 5:1 rwm"},
      {"devices.allow", "c 5:2 rwm"},
      {"devices.allow", "c 136:* rwm"}},
     0},
    {"cpuacct", {{0}}, 0},
    {"freezer", {{0}}, 0},
    {"blkio", {{0}}, 0},
};
static struct controller v2 = {
    "", {{"memory.max", "67108864"}, {"memory.swap.max", "67108864"}, {"cpu.max", "100000 100000"}, {"pids.max", "100"}}, 0};

static char *group(const struct controller *controller, const char *tail)
{
    static char path[4096];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s%s", controller->name, options.cgroup, tail);
    return path;
}

static int put(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, value, strlen(value));
    close(fd);
    return written < 0 ? -1 : 0;
}

static void find_cgroups(void)
{
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
        v2.there = 1;
        put("/sys/fs/cgroup/cgroup.subtree_control", "+memory +cpu +pids");
        if (mkdir(group(&v2, ""), 0755) < 0 && errno != EEXIST)
            die("make cgroup");
        must(put(group(&v2, "/cgroup.subtree_control"), "+memory +cpu +pids"), "enable controllers");
        return;
    }
    for (size_t i = 0; i < LENGTH(v1); i++) {
        char parent[256];
        snprintf(parent, sizeof parent, "/sys/fs/cgroup/%s/tasks", v1[i].name);
        v1[i].there = access(parent, F_OK) == 0;
        if (v1[i].there && mkdir(group(&v1[i], ""), 0755) < 0 && errno != EEXIST)
            die("make cgroup");
    }
}

static void leave_cgroups(void)
{
    if (v2.there)
        rmdir(group(&v2, ""));
    for (size_t i = 0; i < LENGTH(v1); i++)
        if (v1[i].there)
            rmdir(group(&v1[i], ""));
}

static void make_cgroup(const struct controller *controller)
{
    char tail[128];
    snprintf(tail, sizeof tail, "/run%d", number);
    must(mkdir(group(controller, tail), 0755), "make cgroup");
    for (const struct value *value = controller->values; value->file; value++) {
        snprintf(tail, sizeof tail, "/run%d/%s", number, value->file);
        if (put(group(controller, tail), value->value) < 0 && !strstr(value->file, "sw"))
            die(value->file);
    }
}

static void each_cgroup(void (*act)(const struct controller *))
{
    if (v2.there)
        act(&v2);
    for (size_t i = 0; i < LENGTH(v1); i++)
        if (v1[i].there)
            act(&v1[i]);
}

/* The child moves itself. Moving only one's own thread (`tasks`) takes no global lock. */
static void join_cgroup(const struct controller *controller)
{
    char tail[64];
    snprintf(tail, sizeof tail, "/run%d/%s", number, options.tasks ? "tasks" : "cgroup.procs");
    if (controller != &v2)
        must(put(group(controller, tail), "0"), "join cgroup");
}

static void remove_cgroup(const struct controller *controller)
{
    char tail[64];
    snprintf(tail, sizeof tail, "/run%d", number);
    must(rmdir(group(controller, tail)), "remove cgroup");
}

/* ---- network ---- */

struct message {
    struct nlmsghdr header;
    char body[1024];
};

static void *extend(struct nlmsghdr *header, size_t length)
{
    void *end = (char *)header + NLMSG_ALIGN(header->nlmsg_len);
    memset(end, 0, NLMSG_ALIGN(length));
    header->nlmsg_len = NLMSG_ALIGN(header->nlmsg_len) + length;
    return end;
}

static struct rtattr *attribute(struct nlmsghdr *header, int type, const void *data, size_t length)
{
    struct rtattr *attribute = extend(header, RTA_LENGTH(length));
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(length);
    if (data)
        memcpy(RTA_DATA(attribute), data, length);
    return attribute;
}

static void end_nest(struct nlmsghdr *header, struct rtattr *nest)
{
    nest->rta_len = (char *)header + header->nlmsg_len - (char *)nest;
}

static struct nlmsghdr *begin(char *at, int type, int flags)
{
    struct nlmsghdr *header = (struct nlmsghdr *)at;
    *header = (struct nlmsghdr){.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags};
    return header;
}

/* Sends one or more requests at once and reads as many answers. */
static void transact(int fd, const char *buffer, size_t length, int requests, const char *what)
{
    must(send(fd, buffer, length, 0), what);
    while (requests > 0) {
        char answer[8192];
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        must(got, what);
        for (struct nlmsghdr *header = (void *)answer; NLMSG_OK(header, got); header = NLMSG_NEXT(header, got)) {
            struct nlmsgerr *error = NLMSG_DATA(header);
            errno = header->nlmsg_type == NLMSG_ERROR ? -error->error : EPROTO;
            if (errno)
                die(what);
            requests--;
        }
    }
}

static int netlink(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    must(fd, "open netlink");
    return fd;
}

/* A veth pair: one end on the bridge, the other in the child's network namespace as eth0, number 2. */
static void add_veth(int fd, int pid, unsigned bridge)
{
    char buffer[2048], name[IFNAMSIZ];
    struct nlmsghdr *header = begin(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg *link = extend(header, sizeof *link);
    link->ifi_flags = link->ifi_change = IFF_UP;
    snprintf(name, sizeof name, "bl%x.%d", getpid() & 0xffffff, number);
    attribute(header, IFLA_IFNAME, name, strlen(name) + 1);
    attribute(header, IFLA_MASTER, &bridge, sizeof bridge);
    struct rtattr *info = attribute(header, IFLA_LINKINFO, NULL, 0);
    attribute(header, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = attribute(header, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = attribute(header, VETH_INFO_PEER, NULL, 0);
    struct ifinfomsg *inside = extend(header, sizeof *inside);
    inside->ifi_index = 2;
    attribute(header, IFLA_IFNAME, "eth0", 5);
    attribute(header, IFLA_NET_NS_PID, &pid, sizeof pid);
    end_nest(header, peer);
    end_nest(header, data);
    end_nest(header, info);
    transact(fd, buffer, header->nlmsg_len, 1, "add veth pair");
}

static struct nlmsghdr *raise_link(char *at, int index)
{
    struct nlmsghdr *header = begin(at, RTM_NEWLINK, 0);
    struct ifinfomsg *link = extend(header, sizeof *link);
    link->ifi_index = index;
    link->ifi_flags = link->ifi_change = IFF_UP;
    return header;
}

static struct nlmsghdr *add_address(char *at)
{
    struct in_addr address = {htonl(ntohl(options.first.s_addr) + 1 + number % 200)};
    struct nlmsghdr *header = begin(at, RTM_NEWADDR, NLM_F_CREATE);
    struct ifaddrmsg *addr = extend(header, sizeof *addr);
    *addr = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = options.prefix, .ifa_index = 2};
    attribute(header, IFA_LOCAL, &address, sizeof address);
    return header;
}

static struct nlmsghdr *add_default_route(char *at)
{
    struct nlmsghdr *header = begin(at, RTM_NEWROUTE, NLM_F_CREATE);
    struct rtmsg *route = extend(header, sizeof *route);
    *route = (struct rtmsg){.rtm_family = AF_INET,
                            .rtm_table = RT_TABLE_MAIN,
                            .rtm_protocol = RTPROT_BOOT,
                            .rtm_scope = RT_SCOPE_UNIVERSE,
                            .rtm_type = RTN_UNICAST};
    attribute(header, RTA_GATEWAY, &options.first, sizeof options.first);
    return header;
}

/* In the child: lo up; with a bridge, eth0 up with its address and the default route. */
static void configure_network(void)
{
    char buffer[2048], *end = buffer;
    int fd = netlink(), requests = 1;
    end += NLMSG_ALIGN(raise_link(end, 1)->nlmsg_len);
    if (options.bridge) {
        end += NLMSG_ALIGN(raise_link(end, 2)->nlmsg_len);
        end += NLMSG_ALIGN(add_address(end)->nlmsg_len);
        end += NLMSG_ALIGN(add_default_route(end)->nlmsg_len);
        requests = 4;
    }
    transact(fd, buffer, end - buffer, requests, "configure network");
    close(fd);
}

/* ---- the child ---- */

#define PLAIN (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static void mount_at(const char *kind, const char *target, unsigned long flags, const char *data)
{
    if (mount(kind, target, kind, flags, data) < 0)
        die(target);
}

static void mount_cgroups(void)
{
    if (v2.there) {
        mount_at("cgroup2", "sys/fs/cgroup", PLAIN | MS_RDONLY, NULL);
        return;
    }
    mount_at("tmpfs", "sys/fs/cgroup", PLAIN, "mode=755,size=1m");
    for (size_t i = 0; i < LENGTH(v1); i++) {
        char target[64];
        snprintf(target, sizeof target, "sys/fs/cgroup/%s", v1[i].name);
        if (!v1[i].there)
            continue;
        must(mkdir(target, 0755), target);
        must(mount("cgroup", target, "cgroup", PLAIN | MS_RDONLY, v1[i].name), target);
    }
    must(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | PLAIN | MS_RDONLY, "mode=755,size=1m"), "close /sys/fs/cgroup");
}

static void make_devices(void)
{
    static const struct {
        const char *path;
        int major, minor;
    } devices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                   {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    static const char *links[][2] = {{"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
                                     {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
                                     {"/proc/kcore", "dev/core"},       {"pts/ptmx", "dev/ptmx"}};
    umask(0);
    for (size_t i = 0; i < LENGTH(devices); i++)
        must(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), devices[i].path);
    umask(022);
    for (size_t i = 0; i < LENGTH(links); i++)
        must(symlink(links[i][0], links[i][1]), links[i][1]);
}

/* Files that the engine writes for the container. */
static void bind_files(void)
{
    static const char *files[] = {"hostname", "hosts", "resolv.conf"};
    for (size_t i = 0; i < LENGTH(files); i++) {
        char source[4200], target[64];
        snprintf(source, sizeof source, "%s/%s", options.work, files[i]);
        snprintf(target, sizeof target, "etc/%s", files[i]);
        must(mount(source, target, NULL, MS_BIND, NULL), target);
    }
}

static void protect_paths(void)
{
    static const char *readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    static const char *masked[] = {"proc/acpi",         "proc/asound", "proc/interrupts",  "proc/kcore",
                                   "proc/keys",         "proc/latency_stats", "proc/sched_debug", "proc/scsi",
                                   "proc/timer_list",   "sys/devices/virtual/powercap", "sys/firmware"};
    for (size_t i = 0; i < LENGTH(readonly); i++) {
        if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0 && errno == ENOENT)
            continue;
        must(mount(NULL, readonly[i], NULL, MS_BIND | MS_REMOUNT | PLAIN | MS_RDONLY, NULL), readonly[i]);
    }
    const char *empty = NULL;
    for (size_t i = 0; i < LENGTH(masked); i++) {
        struct stat status;
        if (stat(masked[i], &status) < 0)
            continue;
        if (!S_ISDIR(status.st_mode)) {
            must(mount("dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
        } else if (empty) {
            must(mount(empty, masked[i], NULL, MS_BIND, NULL), masked[i]);
        } else {
            mount_at("tmpfs", masked[i], PLAIN | MS_RDONLY, "nr_blocks=1,nr_inodes=1");
            empty = masked[i];
        }
    }
}

static void make_root(void)
{
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
    char layers[13000];
    snprintf(layers, sizeof layers, "lowerdir=%s,upperdir=%s/upper%d,workdir=%s/scratch%d", options.lower, options.work, number,
             options.work, number);
    if (options.plain)
        must(mount(options.lower, merged, NULL, MS_BIND, NULL), "bind root");
    else
        must(mount("overlay", merged, "overlay", 0, layers), "mount overlay");
    must(chdir(merged), "enter root");
    mount_at("proc", "proc", PLAIN, NULL);
    mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
    must(mkdir("dev/pts", 0755) | mkdir("dev/shm", 0755) | mkdir("dev/mqueue", 0755), "make /dev");
    mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_at("sysfs", "sys", PLAIN | MS_RDONLY, NULL);
    mount_cgroups();
    mount_at("mqueue", "dev/mqueue", PLAIN, NULL);
    mount_at("tmpfs", "dev/shm", PLAIN, "mode=1777,size=67108864");
    if (!options.plain)
        bind_files();
    make_devices();
    protect_paths();
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "leave old root");
    must(chdir("/"), "enter root");
}

/* Docker's 14. */
#define CAPABILITIES                                                                                                               \
    (1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE | 1 << CAP_FSETID | 1 << CAP_FOWNER | 1 << CAP_MKNOD | 1 << CAP_NET_RAW |              \
     1 << CAP_SETGID | 1 << CAP_SETUID | 1U << CAP_SETFCAP | 1 << CAP_SETPCAP | 1 << CAP_NET_BIND_SERVICE | 1 << CAP_SYS_CHROOT |  \
     1 << CAP_KILL | 1 << CAP_AUDIT_WRITE)

static void drop_capabilities(void)
{
    for (int i = 0; i <= CAP_LAST_CAP; i++)
        if (i > 31 || !(CAPABILITIES >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    /* The filter still needs CAP_SYS_ADMIN; the exec lets go of it. */
    if (filter.len)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "install filter");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = CAPABILITIES, .permitted = CAPABILITIES}};
    must(syscall(SYS_capset, &header, data), "capset");
}

static void child(const int network[2])
{
    char *argv[] = {(char *)options.program, NULL}, *env[] = {"PATH=/bin", NULL}, byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    close(network[1]);
    each_cgroup(join_cgroup);
    if (!v2.there)
        must(unshare(CLONE_NEWCGROUP), "unshare cgroup namespace");
    /* IPv6 state of every link is memory that nobody needs. For one container the writing would be the longer part. */
    if (options.hold > 1)
        must(put("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") | put("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
             "disable IPv6");
    make_root();
    must(sethostname("limit", 5), "sethostname");
    if (options.bridge)
        must(read(network[0], &byte, 1) == 1 ? 0 : -1, "wait for the network");
    configure_network();
    setsid();
    drop_capabilities();
    must(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC), "close descriptors");
    execve(options.program, argv, env);
    die(options.program);
}

/* ---- the parent ---- */

static long microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void make_directories(void)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/upper%d", options.work, number);
    must(mkdir(path, 0755), path);
    snprintf(path, sizeof path, "%s/scratch%d", options.work, number);
    must(mkdir(path, 0755), path);
}

static void remove_directories(void)
{
    static const char *tails[] = {"scratch%d/work", "scratch%d", "upper%d"};
    for (size_t i = 0; i < LENGTH(tails); i++) {
        char path[4200], tail[64];
        snprintf(tail, sizeof tail, tails[i], number);
        snprintf(path, sizeof path, "%s/%s", options.work, tail);
        must(rmdir(path), path);
    }
}

/* Answers the child's pidfd. */
static int start(int netlink_fd, unsigned bridge)
{
    int network[2] = {-1, -1}, pidfd = -1, cgroup = -1;
    char tail[64];
    each_cgroup(make_cgroup);
    if (!options.plain)
        make_directories();
    if (options.bridge)
        must(pipe2(network, O_CLOEXEC), "pipe");
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD,
                              .pidfd = (unsigned long)&pidfd,
                              .exit_signal = SIGCHLD};
    if (v2.there) {
        snprintf(tail, sizeof tail, "/run%d", number);
        cgroup = open(group(&v2, tail), O_DIRECTORY | O_CLOEXEC);
        args.flags |= CLONE_INTO_CGROUP | CLONE_NEWCGROUP;
        args.cgroup = cgroup;
    }
    int pid = syscall(SYS_clone3, &args, sizeof args);
    must(pid, "clone3");
    if (pid == 0)
        child(network);
    if (options.bridge) {
        add_veth(netlink_fd, pid, bridge);
        must(write(network[1], "x", 1), "tell the child");
        close(network[0]);
        close(network[1]);
    }
    close(cgroup);
    return pidfd;
}

static siginfo_t end(int pidfd)
{
    siginfo_t info;
    must(waitid(P_PIDFD, pidfd, &info, WEXITED), "wait");
    close(pidfd);
    each_cgroup(remove_cgroup);
    if (!options.plain)
        remove_directories();
    return info;
}

static void run_once(int netlink_fd, unsigned bridge)
{
    siginfo_t info = end(start(netlink_fd, bridge));
    if (info.si_code != CLD_EXITED || info.si_status != 0) {
        fprintf(stderr, "limit: the container ended with %d\n", info.si_status);
        leave_cgroups();
        exit(1);
    }
}

static void hold(int netlink_fd, unsigned bridge)
{
    int *pidfds = calloc(options.hold, sizeof *pidfds), running[2];
    char byte;
    must(pidfds ? 0 : -1, "allocate");
    must(pipe2(running, O_CLOEXEC), "pipe"); /* every program's exec closes its end */
    for (number = 0; number < options.hold; number++)
        pidfds[number] = start(netlink_fd, bridge);
    close(running[1]);
    must(read(running[0], &byte, 1), "wait for the programs");
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (number = 0; number < options.hold; number++)
        syscall(SYS_pidfd_send_signal, pidfds[number], SIGKILL, NULL, 0);
    for (number = 0; number < options.hold; number++)
        end(pidfds[number]);
}

static void read_filter(void)
{
    static char bytes[4096 * sizeof(struct sock_filter)];
    int fd = open(options.filter, O_RDONLY | O_CLOEXEC);
    must(fd, options.filter);
    ssize_t length = read(fd, bytes, sizeof bytes);
    must(length, options.filter);
    close(fd);
    filter = (struct sock_fprog){.len = length / sizeof(struct sock_filter), .filter = (void *)bytes};
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        char address[64];
        if (!strcmp(name, "--lower"))
            options.lower = value;
        else if (!strcmp(name, "--work"))
            options.work = value;
        else if (!strcmp(name, "--filter"))
            options.filter = value;
        else if (!strcmp(name, "--bridge"))
            options.bridge = value;
        else if (!strcmp(name, "--subnet")) {
            if (sscanf(value, "%63[^/]/%d", address, &options.prefix) != 2 || !inet_aton(address, &options.first))
                options.bridge = "";
        } else if (!strcmp(name, "--program"))
            options.program = value;
        else if (!strcmp(name, "--cgroup"))
            options.cgroup = value;
        else if (!strcmp(name, "--runs"))
            options.runs = atoi(value);
        else if (!strcmp(name, "--warm"))
            options.warm = atoi(value);
        else if (!strcmp(name, "--hold"))
            options.hold = atoi(value);
        else if (!strcmp(name, "--plain"))
            options.plain = atoi(value);
        else if (!strcmp(name, "--join"))
            options.tasks = !strcmp(value, "tasks");
        else
            options.lower = NULL, i = argc;
    }
    if (!options.lower || !options.work || (options.bridge && !options.prefix)) {
        fprintf(stderr, "usage: limit --lower <root> --work <empty dir> [--filter <sock_filter array>] [--runs n] [--warm n]\n"
                        "             [--bridge <link> --subnet <gateway/prefix>] [--program /true] [--hold n] [--cgroup name] [--join tasks|procs] [--plain 1]\n");
        exit(2);
    }
}

static void prepare_files(void)
{
    static const char *names[] = {"hostname", "hosts", "resolv.conf"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", options.work, names[i]);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        must(fd, path);
        close(fd);
    }
    snprintf(merged, sizeof merged, "%s/merged", options.work);
    if (mkdir(merged, 0755) < 0 && errno != EEXIST)
        die(merged);
}

int main(int argc, char **argv)
{
    unsigned bridge = 0;
    read_options(argc, argv);
    if (options.filter)
        read_filter();
    prepare_files();
    if (options.bridge && !(bridge = if_nametoindex(options.bridge)))
        die(options.bridge);
    int fd = options.bridge ? netlink() : -1;
    find_cgroups();
    if (options.hold)
        hold(fd, bridge);
    for (; !options.hold && number < options.warm + options.runs; number++) {
        long since = microseconds();
        run_once(fd, bridge);
        if (number >= options.warm)
            printf("%ld\n", microseconds() - since);
    }
    leave_cgroups();
    return 0;
}
