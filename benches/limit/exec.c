/*
 * The least that a command must do to run one more program in a running container: join its cgroups and namespaces, have a child
 * born there, take away its rights, install the filter, exec, wait. No record is read, nothing is checked, nothing protects this
 * program from the container. Unlike the limit of a start, this is measured as a command: from before its start until after its end.
 *
 *     exec <pid> <sock_filter array or -> <program>
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPABILITIES 0xa80425fbU /* Docker's 14 */

static struct sock_fprog filter;
static int tasks[32], hierarchies, unified = -1;

static void must(long answer, const char *what)
{
    if (answer >= 0)
        return;
    dprintf(2, "exec: %s: %s\n", what, strerror(errno));
    _exit(1);
}

/* Where the container is counted: opened while the host's files are still in sight. */
static void open_cgroups(const char *pid)
{
    char path[4200], text[8192];
    snprintf(path, sizeof path, "/proc/%s/cgroup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd, path);
    ssize_t length = read(fd, text, sizeof text - 1);
    must(length, path);
    close(fd);
    text[length] = 0;
    const char *mount = access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ? "/unified" : "";
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *name = strchr(line, ':') + 1, *group = strchr(name, ':');
        *group++ = 0;
        if (!*name) { /* born in it: writing to cgroup.procs would wait for every processor */
            snprintf(path, sizeof path, "/sys/fs/cgroup%s%s", mount, group);
            must(unified = open(path, O_DIRECTORY | O_CLOEXEC), path);
            continue;
        }
        if (!group[1]) /* a hierarchy that no runtime has used */
            continue;
        snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s/tasks", strncmp(name, "name=", 5) ? name : name + 5, group);
        must(tasks[hierarchies++] = open(path, O_WRONLY | O_CLOEXEC), path);
    }
}

static void read_filter(const char *path)
{
    static char bytes[4096 * sizeof(struct sock_filter)];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd, path);
    ssize_t length = read(fd, bytes, sizeof bytes);
    must(length, path);
    close(fd);
    filter = (struct sock_fprog){.len = length / sizeof(struct sock_filter), .filter = (void *)bytes};
}

static void child(const char *program)
{
    char *argv[] = {(char *)program, NULL}, *env[] = {"PATH=/bin", NULL};
    for (int i = 0; i < hierarchies; i++)
        must(write(tasks[i], "0", 1), "enter cgroup");
    must(chdir("/"), "enter root");
    setsid();
    for (int i = 0; i <= CAP_LAST_CAP; i++)
        if (i > 31 || !(CAPABILITIES >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    if (filter.len)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "install filter");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = CAPABILITIES, .permitted = CAPABILITIES}};
    must(syscall(SYS_capset, &header, data), "capset");
    execve(program, argv, env);
    must(-1, program);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: exec <pid> <sock_filter array or -> <program>\n");
        return 2;
    }
    if (strcmp(argv[2], "-"))
        read_filter(argv[2]);
    open_cgroups(argv[1]);
    int pidfd = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    must(pidfd, "pidfd_open");
    must(setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP), "setns");
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (unified >= 0) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = unified;
    }
    int pid = syscall(SYS_clone3, &args, sizeof args);
    must(pid, "clone3");
    if (pid == 0)
        child(argv[3]);
    int status;
    must(waitpid(pid, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
