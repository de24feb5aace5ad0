/*
 * What the standard library, which is compiled for glibc, asks of its C library and musl does not have.
 */

struct dl_find_object;

/* libgcc looks for the tables by which stacks are unwound. There are none (no-unwinding.ld). */
int _dl_find_object(void *address, struct dl_find_object *found)
{
    (void)address, (void)found;
    return -1;
}

/* No version of glibc: the standard library does without what it knows only newer ones to do rightly. */
const char *gnu_get_libc_version(void)
{
    return "";
}

/* The bounds of the first thread's stack, which musl finds by trying: 30 system calls. The standard library does without. */
int pthread_getattr_np(unsigned long thread, void *attributes)
{
    (void)thread, (void)attributes;
    return 38; /* ENOSYS */
}
