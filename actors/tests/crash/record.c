/* Preloaded into a process: writes down, in one order, what it does to files below $TANDEM_RECORD_DIR and what it
 * writes to its standard output, with all bytes. Nothing that it records happens at the same time as anything else
 * that it records.
 *
 * A record: kind (1 byte), two numbers (8 bytes each), and two texts, each after its length (4 bytes); of this machine's
 * byte order. `power.rs` says what they mean for each kind, and replays them.
 *
 * With $TANDEM_NO_SYNC, syncs of journals are left out: the process believes in them, and nothing is synced.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int record_fd = -1, no_sync;
static char dir[4096];
static char *names[FDS];

static void start(void) {
    const char *to = getenv("TANDEM_RECORD"), *below = getenv("TANDEM_RECORD_DIR");
    if (!to || !below) return;
    snprintf(dir, sizeof dir, "%s", below);
    no_sync = getenv("TANDEM_NO_SYNC") != NULL;
    int fd = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    record_fd = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FDS);
    if (record_fd < 0) record_fd = fd;
}

static void enter(void) {
    pthread_once(&once, start);
    pthread_mutex_lock(&one);
}

static void leave(void) { pthread_mutex_unlock(&one); }

static void put(const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = syscall(SYS_write, record_fd, at, len);
        if (n <= 0) abort();
        at += n, len -= n;
    }
}

static void note(char kind, uint64_t a, uint64_t b, const void *x, uint32_t x_len, const void *y, uint32_t y_len) {
    if (record_fd < 0) return;
    put(&kind, 1), put(&a, 8), put(&b, 8);
    put(&x_len, 4), put(x, x_len);
    put(&y_len, 4), put(y, y_len);
}

static void note_names(char kind, const char *x, const char *y) { note(kind, 0, 0, x, strlen(x), y, strlen(y)); }

/* Whether the file is one of those that are recorded; if so, its path from the directory on. */
static const char *below(const char *path) {
    size_t len = strlen(dir);
    if (record_fd < 0 || strncmp(path, dir, len) != 0 || (path[len] != '/' && path[len] != 0)) return NULL;
    return path[len] ? path + len + 1 : "";
}

static const char *name_of(int fd) { return fd >= 0 && fd < FDS && record_fd >= 0 ? names[fd] : NULL; }

static void set_name(int fd, const char *name) {
    if (fd < 0 || fd >= FDS) {
        if (name) abort();
        return;
    }
    free(names[fd]);
    names[fd] = name ? strdup(name) : NULL;
}

/* The path that `path` means from the open folder `at` on. */
static const char *full(int at, const char *path, char *out, size_t size) {
    if (path[0] == '/' || at == AT_FDCWD) return path;
    const char *folder = name_of(at);
    if (!folder) return path;
    snprintf(out, size, "%s%s%s/%s", dir, *folder ? "/" : "", folder, path);
    return out;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    char joined[8192];
    enter();
    const char *name = below(full(at, path, joined, sizeof joined));
    struct stat before;
    int existed = name && fstatat(at, path, &before, 0) == 0;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    int error = errno;
    if (fd >= 0) {
        set_name(fd, name);
        if (name) note('O', fd, (existed ? 0 : 1) | (flags & O_TRUNC ? 2 : 0), name, strlen(name), "", 0);
    }
    leave();
    errno = error;
    return fd;
}

#define MODE(flags)                                                  \
    mode_t mode = 0;                                                 \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                         \
        va_list more;                                                \
        va_start(more, flags);                                       \
        mode = va_arg(more, mode_t);                                 \
        va_end(more);                                                \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_any(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_any(at, path, flags, mode); }

int close(int fd) {
    enter();
    if (name_of(fd)) note('C', fd, 0, "", 0, "", 0);
    if (fd < FDS) set_name(fd, NULL);
    int done = syscall(SYS_close, fd);
    leave();
    return done;
}

static int fcntl_any(int fd, int command, void *argument) {
    enter();
    int done = syscall(SYS_fcntl, fd, command, argument);
    int error = errno;
    if (done >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        const char *name = name_of(fd);
        set_name(done, name);
        if (name) note('D', fd, done, "", 0, "", 0);
    }
    leave();
    errno = error;
    return done;
}

#define ARGUMENT                              \
    va_list more;                             \
    va_start(more, command);                  \
    void *argument = va_arg(more, void *);    \
    va_end(more);

int fcntl(int fd, int command, ...) { ARGUMENT return fcntl_any(fd, command, argument); }
int fcntl64(int fd, int command, ...) { ARGUMENT return fcntl_any(fd, command, argument); }

/* Where the next write goes. */
static uint64_t place(int fd) {
    struct stat now;
    if (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) return fstat(fd, &now) == 0 ? now.st_size : 0;
    return syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    enter();
    const char *name = name_of(fd);
    uint64_t at = name ? place(fd) : 0;
    ssize_t done = syscall(SYS_write, fd, bytes, len);
    int error = errno;
    if (done > 0 && name) note('W', fd, at, bytes, done, "", 0);
    if (done > 0 && fd == STDOUT_FILENO) note('A', 0, 0, bytes, done, "", 0);
    leave();
    errno = error;
    return done;
}

static ssize_t pwrite_any(int fd, const void *bytes, size_t len, off_t at) {
    enter();
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, len, at);
    int error = errno;
    if (done > 0 && name_of(fd)) note('W', fd, at, bytes, done, "", 0);
    leave();
    errno = error;
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite_any(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return pwrite_any(fd, bytes, len, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t total = 0;
    for (int n = 0; n < count; n++) {
        if (parts[n].iov_len == 0) continue;
        ssize_t done = write(fd, parts[n].iov_base, parts[n].iov_len);
        if (done < 0) return total > 0 ? total : done;
        total += done;
        if ((size_t)done < parts[n].iov_len) break;
    }
    return total;
}

static int truncate_any(int fd, off_t len) {
    enter();
    int done = syscall(SYS_ftruncate, fd, len), error = errno;
    if (done == 0 && name_of(fd)) note('T', fd, len, "", 0, "", 0);
    leave();
    errno = error;
    return done;
}

int ftruncate(int fd, off_t len) { return truncate_any(fd, len); }
int ftruncate64(int fd, off_t len) { return truncate_any(fd, len); }

static int sync_any(int fd, long call) {
    enter();
    const char *name = name_of(fd);
    const char *end = name ? strrchr(name, '.') : NULL;
    if (no_sync && end && strcmp(end, ".jnl") == 0) {
        leave();
        return 0;
    }
    int done = syscall(call, fd), error = errno;
    if (done == 0 && name) note('S', fd, 0, "", 0, "", 0);
    leave();
    errno = error;
    return done;
}

int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

static int rename_any(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char from_full[8192], to_full[8192];
    enter();
    const char *x = below(full(from_at, from, from_full, sizeof from_full));
    const char *y = below(full(to_at, to, to_full, sizeof to_full));
    int done = syscall(SYS_renameat2, from_at, from, to_at, to, flags), error = errno;
    if (done == 0 && x && y) note_names('R', x, y);
    leave();
    errno = error;
    return done;
}

int rename(const char *from, const char *to) { return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_any(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_any(a, from, b, to, flags); }

static int unlink_any(int at, const char *path, int flags) {
    char joined[8192];
    enter();
    const char *name = below(full(at, path, joined, sizeof joined));
    int done = syscall(SYS_unlinkat, at, path, flags), error = errno;
    if (done == 0 && name) note_names('U', name, "");
    leave();
    errno = error;
    return done;
}

int unlink(const char *path) { return unlink_any(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_any(at, path, flags); }
int rmdir(const char *path) { return unlink_any(AT_FDCWD, path, AT_REMOVEDIR); }

static int mkdir_any(int at, const char *path, mode_t mode) {
    char joined[8192];
    enter();
    const char *name = below(full(at, path, joined, sizeof joined));
    int done = syscall(SYS_mkdirat, at, path, mode), error = errno;
    if (done == 0 && name) note_names('M', name, "");
    leave();
    errno = error;
    return done;
}

int mkdir(const char *path, mode_t mode) { return mkdir_any(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return mkdir_any(at, path, mode); }
