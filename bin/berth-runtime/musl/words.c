/*
 * What the kernel's errors are called: where musl has words of its own, those that everybody else prints (glibc, Go's runtime and
 * with it every other container engine), for whoever looks for them in a message.
 */
#include <stddef.h>

static const struct {
    int number;
    const char *words;
} differing[] = {
    {5, "Input/output error"},
    {10, "No child processes"},
    {12, "Cannot allocate memory"},
    {16, "Device or resource busy"},
    {18, "Invalid cross-device link"},
    {24, "Too many open files"},
    {25, "Inappropriate ioctl for device"},
    {29, "Illegal seek"},
    {33, "Numerical argument out of domain"},
    {34, "Numerical result out of range"},
    {35, "Resource deadlock avoided"},
    {36, "File name too long"},
    {40, "Too many levels of symbolic links"},
    {62, "Timer expired"},
    {75, "Value too large for defined data type"},
    {84, "Invalid or incomplete multibyte or wide character"},
    {85, "Interrupted system call should be restarted"},
    {87, "Too many users"},
    {88, "Socket operation on non-socket"},
    {90, "Message too long"},
    {95, "Operation not supported"},
    {98, "Address already in use"},
    {99, "Cannot assign requested address"},
    {101, "Network is unreachable"},
    {102, "Network dropped connection on reset"},
    {103, "Software caused connection abort"},
    {106, "Transport endpoint is already connected"},
    {107, "Transport endpoint is not connected"},
    {110, "Connection timed out"},
    {113, "No route to host"},
    {115, "Operation now in progress"},
    {117, "Structure needs cleaning"},
    {122, "Disk quota exceeded"},
};

char *strerror(int number);

/* As POSIX has `strerror_r`; the standard library calls it by this name. */
int __xpg_strerror_r(int number, char *buffer, size_t size)
{
    const char *words = strerror(number);
    for (size_t i = 0; i < sizeof differing / sizeof *differing; i++)
        if (differing[i].number == number)
            words = differing[i].words;
    for (size_t i = 0; i < size; i++) {
        buffer[i] = words[i];
        if (!words[i])
            return 0;
    }
    if (size)
        buffer[size - 1] = 0;
    return 34; /* ERANGE */
}
