/*
 * A disk that is watched, fills up, fails or dawdles. Tests load it into a child with LD_PRELOAD; the exporter itself
 * knows nothing of it, and forbids the unsafe Rust that this would take.
 *
 * Only what lies below DISK_ROOT is touched. Everything else passes through.
 *
 *   DISK_LOG     each operation that changed something is appended here with its data, see `struct head`
 *   DISK_ORDERS  a file with one order, "KIND FIRST TIMES WHAT MILLISECONDS": from the FIRST operation of KIND (open,
 *                read, write, truncate, sync, unlink; from 1) on, TIMES of them (0: all) fail with WHAT: ENOSPC, EIO;
 *                "short": the first writes half of what it should, the others ENOSPC; "slow": they succeed, but take
 *                MILLISECONDS. Read anew before each operation; another text begins counting anew, no file is no order.
 *                Each time one strikes, a byte is appended to the file beside it whose name ends in ".struck".
 *   DISK_SYNCS   "none": syncs are recorded but left out, since a test pulls no real plug
 *
 * System calls are made directly: whatever the C library would call in turn is the one that is interposed here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 4096
#define SHORT (-1)

/* A record: this, then `name` bytes, then `data` bytes. All little-endian. */
struct head {
    uint32_t kind; /* o c w t s x(failed sync) u r m */
    int32_t fd;
    int64_t at; /* offset of a write, length of a truncation */
    uint32_t name, data;
};

static const char *root, *orders_file;
static int log_fd = -1, leave_out_syncs;
static char watched[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char text[96], kind[16], what[16];
    long first, times, milliseconds, seen;
} orders;

__attribute__((constructor)) static void begin(void)
{
    root = getenv("DISK_ROOT");
    orders_file = getenv("DISK_ORDERS");
    const char *syncs = getenv("DISK_SYNCS"), *log = getenv("DISK_LOG");
    leave_out_syncs = syncs && strcmp(syncs, "none") == 0;
    if (log)
        log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log && log_fd < 0)
        abort();
}

/* A record that is missing would make the test lie; rather no test at all. */
static void record(char kind, int fd, int64_t at, const char *name, const void *data, size_t length)
{
    if (log_fd < 0)
        return;
    int kept = errno;
    struct head head = {kind, fd, at, strlen(name), length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, head.name}, {(void *)data, length}};
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof head + head.name + length))
        abort();
    errno = kept;
}

static int below_root(const char *path)
{
    size_t length = root ? strlen(root) : 0;
    return length && path && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_watched(int fd)
{
    return fd >= 0 && fd < FILES && watched[fd];
}

static void read_orders(void)
{
    char text[sizeof orders.text] = "";
    int fd = syscall(SYS_openat, AT_FDCWD, orders_file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (syscall(SYS_read, fd, text, sizeof text - 1) < 0)
            abort();
        syscall(SYS_close, fd);
    }
    if (strcmp(text, orders.text) == 0)
        return;
    memset(&orders, 0, sizeof orders);
    strcpy(orders.text, text);
    if (*text && sscanf(text, "%15s %ld %ld %15s %ld", orders.kind, &orders.first, &orders.times, orders.what,
                        &orders.milliseconds) != 5)
        abort();
}

static void note_strike(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.struck", orders_file);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, "!", 1) != 1)
        abort();
    syscall(SYS_close, fd);
}

/* What is to become of an operation: 0 for nothing, an errno, or SHORT. */
static int order(const char *kind)
{
    if (!orders_file)
        return 0;
    int kept = errno, fate = 0;
    long wait = 0;
    pthread_mutex_lock(&lock);
    read_orders();
    if (strcmp(orders.kind, kind) == 0) {
        long past = ++orders.seen - orders.first;
        if (past >= 0 && (orders.times == 0 || past < orders.times)) {
            if (strcmp(orders.what, "slow") == 0)
                wait = orders.milliseconds;
            else if (strcmp(orders.what, "short") == 0)
                fate = past == 0 ? SHORT : ENOSPC;
            else
                fate = strcmp(orders.what, "ENOSPC") == 0 ? ENOSPC : EIO;
            note_strike();
        }
    }
    pthread_mutex_unlock(&lock);
    struct timespec time = {wait / 1000, wait % 1000 * 1000000};
    if (wait)
        nanosleep(&time, NULL);
    errno = kept;
    return fate;
}

/* Ends the calling function if its operation has been ordered to fail. */
#define MAY_FAIL(kind)                                                                                                 \
    do {                                                                                                               \
        int fate = order(kind);                                                                                        \
        if (fate) {                                                                                                    \
            errno = fate == SHORT ? ENOSPC : fate;                                                                     \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

static int opened(int directory, const char *path, int flags, mode_t mode)
{
    int ours = below_root(path);
    if (ours)
        MAY_FAIL("open");
    int fd = syscall(SYS_openat, directory, path, flags, mode);
    if (ours && fd >= FILES)
        abort();
    if (ours && fd >= 0) {
        watched[fd] = 1;
        record('o', fd, 0, path, "", 0);
        if (flags & O_TRUNC)
            record('t', fd, 0, "", "", 0);
    }
    return fd;
}

#define MODE_OF(flags, last)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, last);                                                                                          \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd)
{
    if (is_watched(fd)) {
        watched[fd] = 0;
        record('c', fd, 0, "", "", 0);
    }
    return syscall(SYS_close, fd);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t at)
{
    if (is_watched(fd))
        MAY_FAIL("read");
    return syscall(SYS_pread64, fd, data, length, at);
}
ssize_t pread(int fd, void *data, size_t length, off_t at) { return pread64(fd, data, length, at); }

ssize_t read(int fd, void *data, size_t length)
{
    if (is_watched(fd))
        MAY_FAIL("read");
    return syscall(SYS_read, fd, data, length);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    int ours = is_watched(fd), fate = ours ? order("write") : 0;
    if (fate > 0 || (fate == SHORT && length < 2)) {
        errno = fate == SHORT ? ENOSPC : fate;
        return -1;
    }
    long written = syscall(SYS_pwrite64, fd, data, fate == SHORT ? length / 2 : length, at);
    if (ours && written > 0)
        record('w', fd, at, "", data, written);
    return written;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite64(fd, data, length, at); }

ssize_t write(int fd, const void *data, size_t length)
{
    if (!is_watched(fd))
        return syscall(SYS_write, fd, data, length);
    MAY_FAIL("write");
    long written = syscall(SYS_write, fd, data, length);
    if (written > 0)
        record('w', fd, syscall(SYS_lseek, fd, 0, SEEK_CUR) - written, "", data, written);
    return written;
}

int ftruncate64(int fd, off64_t length)
{
    int ours = is_watched(fd);
    if (ours)
        MAY_FAIL("truncate");
    int done = syscall(SYS_ftruncate, fd, length);
    if (ours && done == 0)
        record('t', fd, length, "", "", 0);
    return done;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, long call)
{
    if (!is_watched(fd))
        return syscall(call, fd);
    int fate = order("sync");
    if (fate) {
        record('x', fd, 0, "", "", 0);
        errno = fate;
        return -1;
    }
    int done = leave_out_syncs ? 0 : syscall(call, fd);
    if (done == 0)
        record('s', fd, 0, "", "", 0);
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *path)
{
    int ours = below_root(path);
    if (ours)
        MAY_FAIL("unlink");
    int done = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (ours && done == 0)
        record('u', -1, 0, path, "", 0);
    return done;
}

int rename(const char *from, const char *to)
{
    int done = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (done == 0 && below_root(from))
        record('r', -1, 0, from, to, strlen(to));
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    int done = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (done == 0 && below_root(path))
        record('m', -1, 0, path, "", 0);
    return done;
}
