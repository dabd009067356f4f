/* Loaded before the C library (LD_PRELOAD): the N-th operation that changes files below a folder fails, or kills.

   Counted are opening for writing, write, pwrite, writev, fsync, fdatasync, ftruncate, rename and mkdir. Nothing is
   counted before faulty_io_arm was called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096];
static size_t folder_length;
static long at, count;
static int error_number, lasting; /* error_number 0: SIGKILL in place of the operation */

void faulty_io_arm(const char *below, long operation, int error, int stays)
{
    strncpy(folder, below, sizeof folder - 1);
    folder_length = strlen(folder);
    at = operation;
    error_number = error;
    lasting = stays;
    count = 0;
}

long faulty_io_count(void) { return count; }

static int is_below(const char *path)
{
    return folder_length && path && strncmp(path, folder, folder_length) == 0;
}

static int fails(int matches)
{
    if (!matches)
        return 0;
    count++;
    if (at <= 0 || (lasting ? count < at : count != at))
        return 0;
    if (error_number == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = error_number;
    return 1;
}

static int fd_is_below(int fd)
{
    char link[64], path[4096];
    int saved = errno;
    if (!folder_length || fd < 3)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length <= 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FD(type, name, parameters, arguments)                                                                       \
    type name parameters                                                                                               \
    {                                                                                                                  \
        static __typeof__(&name) real;                                                                                 \
        if (!real)                                                                                                     \
            real = REAL(name);                                                                                         \
        if (fails(fd_is_below(fd)))                                                                                    \
            return -1;                                                                                                 \
        return real arguments;                                                                                         \
    }
#define ON_PATH(type, name, parameters, arguments, path)                                                               \
    type name parameters                                                                                               \
    {                                                                                                                  \
        static __typeof__(&name) real;                                                                                 \
        if (!real)                                                                                                     \
            real = REAL(name);                                                                                         \
        if (fails(is_below(path)))                                                                                     \
            return -1;                                                                                                 \
        return real arguments;                                                                                         \
    }

ON_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(ssize_t, writev, (int fd, const struct iovec *parts, int number), (fd, parts, number))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_PATH(int, rename, (const char *from, const char *to), (from, to), to)
ON_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode), path)

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        static int (*real)(const char *, int, ...);                                                                    \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;                                      \
        va_end(more);                                                                                                  \
        if (!real)                                                                                                     \
            real = dlsym(RTLD_NEXT, #name);                                                                            \
        if ((flags & O_ACCMODE) != O_RDONLY && fails(is_below(path)))                                                  \
            return -1;                                                                                                 \
        return real(path, flags, mode);                                                                                \
    }
OPENS(open)
OPENS(open64)
