/*
 * A shim between a program and the C library, for LD_PRELOAD on Linux: it makes chosen writes, fsyncs and creations
 * fail, steps the wall clock, and records every change of a folder in the order in which the changes were completed.
 *
 * EVALBOARD_SHIM_FOLDER   the folder (an absolute path without links); nothing outside it is touched or recorded
 * EVALBOARD_SHIM_CONTROL  a file of at least 512 bytes that is mapped as `struct control`
 * EVALBOARD_SHIM_RECORD   the file that the record is appended to; without it nothing is recorded
 *
 * The real work is done by system calls of its own, so that no symbol of the C library has to be found again. What
 * the program maps into memory (the index of a write-ahead log) is not seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Kinds of operations that can be made to fail. */
enum { FAIL_WRITE = 1, FAIL_SYNC = 2, FAIL_CREATE = 4 };

/* What the test writes while the program runs. */
struct control {
    int64_t clock_offset; /* nanoseconds that are added to the wall clock */
    int32_t kinds;        /* what fails; written last */
    int32_t error;        /* errno of the failure */
    int32_t skip;         /* so many operations succeed first */
    int32_t times;        /* so many fail; -1 for all */
    int32_t is_short;     /* the first write that fails is cut in half instead, and the next one fails */
    int32_t only_growth;  /* only writes beyond the end of a file fail */
    int32_t hits;         /* counted here: failures so far */
    int32_t unused[7];
    char match[256];      /* part of the paths that are meant, or "=" and a whole one; all when empty */
};

/* Kinds of entries in the record. */
enum { CREATE = 1, MAKE_FOLDER, WRITE, TRUNCATE, SYNC, FAILED_SYNC, RENAME, LINK, UNLINK };

/* An entry: this, then the path, then the data. */
struct entry {
    uint32_t kind;
    uint32_t path_length;
    uint64_t inode;
    uint64_t offset; /* of a write; new length; of an fsync: length of the record when it began */
    uint64_t length; /* of the data */
};

#define MAX_FILES 65536

/* An open file in the folder. */
struct file {
    char *path;
    uint64_t inode;
    int owes; /* errno that its next fsync returns: a failed write-back is reported once to every open file */
};

static struct file files[MAX_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct control *control;
static char folder[PATH_MAX];
static size_t folder_length;
static int record = -1;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("EVALBOARD_SHIM_FOLDER");
    if (name == NULL || strlen(name) >= sizeof folder) return;
    const char *path = getenv("EVALBOARD_SHIM_CONTROL");
    if (path != NULL) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        if (fd >= 0) {
            void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (mapped != MAP_FAILED) control = mapped;
            syscall(SYS_close, fd);
        }
    }
    path = getenv("EVALBOARD_SHIM_RECORD");
    if (path != NULL) {
        record = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    strcpy(folder, name);
    folder_length = strlen(folder);
}

/* The path below the folder, or NULL. The folder itself is "". */
static const char *below(const char *path) {
    if (folder_length == 0 || strncmp(path, folder, folder_length) != 0) return NULL;
    path += folder_length;
    if (*path == '/') return path + 1;
    return *path == '\0' ? path : NULL;
}

/* An absolute path for one that may be relative; NULL when there is none. */
static const char *absolute(int at, const char *path, char *buffer) {
    if (path == NULL || path[0] == '/') return path;
    char link[64];
    snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (length < 0 || length + strlen(path) + 2 > PATH_MAX) return NULL;
    buffer[length] = '/';
    strcpy(buffer + length + 1, path);
    return buffer;
}

static struct file *known(int fd) {
    return fd >= 0 && fd < MAX_FILES && files[fd].path != NULL ? &files[fd] : NULL;
}

static uint64_t position(void) {
    struct stat status;
    return record >= 0 && fstat(record, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Appends an entry; one call, so that other processes cannot come in between. */
static void note(uint32_t kind, uint64_t inode, const char *path, size_t path_length, uint64_t offset,
                 const struct iovec *data, int pieces, size_t length) {
    if (record < 0) return;
    struct entry entry = {kind, (uint32_t)path_length, inode, offset, length};
    struct iovec all[2 + 16] = {{&entry, sizeof entry}, {(void *)path, path_length}};
    int count = 2;
    for (int at = 0; at < pieces && count < 18 && length > 0; at++) {
        size_t part = data[at].iov_len < length ? data[at].iov_len : length;
        all[count].iov_base = data[at].iov_base;
        all[count++].iov_len = part;
        length -= part;
    }
    if (length > 0 || syscall(SYS_writev, record, all, count) < 0) abort();
}

static void note_name(uint32_t kind, uint64_t inode, const char *path) {
    note(kind, inode, path, strlen(path), 0, NULL, 0, 0);
}

static uint64_t inode_of(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static int is_meant(const char *path) {
    const char *match = control->match;
    return match[0] == '=' ? strcmp(path, match + 1) == 0 : strstr(path, match) != NULL;
}

/* The errno of an operation that is to fail, or 0. Call it with the lock. */
static int failure(int kind, const char *path, int grows) {
    if (control == NULL || !(__atomic_load_n(&control->kinds, __ATOMIC_ACQUIRE) & kind)) return 0;
    if (!is_meant(path)) return 0;
    if (kind == FAIL_WRITE && control->only_growth && !grows) return 0;
    if (control->times == 0) return 0;
    if (control->skip > 0) {
        control->skip--;
        return 0;
    }
    if (control->times > 0) control->times--;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_RELEASE);
    return control->error;
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *whole = folder_length > 0 ? absolute(at, path, buffer) : NULL;
    const char *inside = whole != NULL ? below(whole) : NULL;
    if (inside == NULL || (flags & O_TMPFILE) == O_TMPFILE) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = -1, created = 0, error = 0;
    if (!(flags & O_CREAT)) {
        fd = syscall(SYS_openat, at, path, flags, mode);
    } else {
        if (!(flags & O_EXCL)) fd = syscall(SYS_openat, at, path, flags & ~O_CREAT, mode);
        if (fd < 0 && ((flags & O_EXCL) || errno == ENOENT)) {
            error = failure(FAIL_CREATE, inside, 1);
            if (error == 0) {
                fd = syscall(SYS_openat, at, path, flags, mode);
                created = fd >= 0;
            }
        }
    }
    if (error == 0 && fd < 0) error = errno;
    if (fd >= 0 && fd < MAX_FILES) {
        struct stat status;
        fstat(fd, &status);
        free(files[fd].path);
        files[fd] = (struct file){strdup(inside), status.st_ino, 0};
        if (created) note_name(CREATE, status.st_ino, inside);
        else if (flags & O_TRUNC) note(TRUNCATE, status.st_ino, inside, strlen(inside), 0, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    if (fd < 0) errno = error;
    return fd;
}

#define MODE(flags, mode)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                   \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return open_at(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    if (known(fd) != NULL) {
        pthread_mutex_lock(&lock);
        free(files[fd].path);
        files[fd].path = NULL;
        pthread_mutex_unlock(&lock);
    }
    return syscall(SYS_close, fd);
}

static int copied(int from, int to) {
    if (to >= 0 && to < MAX_FILES && to != from && (known(from) != NULL || known(to) != NULL)) {
        pthread_mutex_lock(&lock);
        free(files[to].path);
        files[to] = files[from];
        if (files[from].path != NULL) files[to].path = strdup(files[from].path);
        pthread_mutex_unlock(&lock);
    }
    return to;
}

int dup(int fd) { return copied(fd, syscall(SYS_dup, fd)); }
int dup3(int fd, int to, int flags) { return copied(fd, syscall(SYS_dup3, fd, to, flags)); }
int dup2(int fd, int to) { return fd == to ? to : dup3(fd, to, 0); }

static int control_file(int fd, int command, long argument) {
    long result = syscall(SYS_fcntl, fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : (int)result;
}

#define ARGUMENT(last, argument)                                                                                       \
    va_list rest;                                                                                                      \
    va_start(rest, last);                                                                                              \
    long argument = va_arg(rest, long);                                                                                \
    va_end(rest);

int fcntl(int fd, int command, ...) { ARGUMENT(command, argument) return control_file(fd, command, argument); }
int fcntl64(int fd, int command, ...) { ARGUMENT(command, argument) return control_file(fd, command, argument); }

/* Writes to a file of the folder, at `offset` or, when that is negative, where the file stands. */
static ssize_t write_to(struct file *file, int fd, const struct iovec *data, int pieces, off_t offset) {
    size_t length = 0;
    for (int at = 0; at < pieces; at++) length += data[at].iov_len;
    pthread_mutex_lock(&lock);
    struct stat status;
    fstat(fd, &status);
    int is_appended = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
    off_t at = is_appended ? status.st_size : offset >= 0 ? offset : syscall(SYS_lseek, fd, 0, SEEK_CUR);
    int error = failure(FAIL_WRITE, file->path, at + (off_t)length > status.st_size);
    struct iovec half = {pieces > 0 ? data[0].iov_base : NULL, pieces > 0 ? data[0].iov_len / 2 : 0};
    ssize_t written = -1;
    if (error != 0 && control->is_short && half.iov_len > 0) {
        control->is_short = 0;
        if (control->times >= 0) control->times++;
        error = 0;
        data = &half;
        pieces = 1;
    }
    if (error == 0) {
        written = offset < 0 ? syscall(SYS_writev, fd, data, pieces)
                             : syscall(SYS_pwritev, fd, data, pieces, (unsigned long)offset, 0UL);
        error = errno;
    }
    if (written > 0) note(WRITE, file->inode, file->path, strlen(file->path), at, data, pieces, written);
    pthread_mutex_unlock(&lock);
    if (written < 0) errno = error;
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_write, fd, bytes, length);
    struct iovec data = {(void *)bytes, length};
    return write_to(file, fd, &data, 1, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_pwrite64, fd, bytes, length, offset);
    struct iovec data = {(void *)bytes, length};
    return write_to(file, fd, &data, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }

ssize_t writev(int fd, const struct iovec *data, int pieces) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_writev, fd, data, pieces);
    return write_to(file, fd, data, pieces < 16 ? pieces : 16, -1);
}

ssize_t pwritev(int fd, const struct iovec *data, int pieces, off_t offset) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_pwritev, fd, data, pieces, (unsigned long)offset, 0UL);
    return write_to(file, fd, data, pieces < 16 ? pieces : 16, offset);
}
ssize_t pwritev64(int fd, const struct iovec *data, int pieces, off64_t offset) {
    return pwritev(fd, data, pieces, offset);
}

/* Copies within the kernel are refused into the folder: the program then reads and writes. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned int flags) {
    if (known(to) == NULL) return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    if (known(to) == NULL) return syscall(SYS_sendfile, to, from, at, length);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t length) { return sendfile(to, from, at, length); }
ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned int flags) {
    if (known(to) == NULL) return syscall(SYS_splice, from, from_at, to, to_at, length, flags);
    errno = EINVAL;
    return -1;
}

int ftruncate(int fd, off_t length) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_ftruncate, fd, length);
    if (result == 0) note(TRUNCATE, file->inode, file->path, strlen(file->path), length, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(SYS_fallocate, fd, mode, offset, length);
    /* What it would show in the record is not modelled; programs go on without it. */
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

static int sync_file(int fd, long call) {
    struct file *file = known(fd);
    if (file == NULL) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    uint64_t inode = file->inode, since = position();
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file->path);
    int error = file->owes;
    file->owes = 0;
    if (error == 0) error = failure(FAIL_SYNC, path, 0);
    if (error != 0 && control != NULL) {
        for (int at = 0; at < MAX_FILES; at++) {
            if (at != fd && files[at].path != NULL && files[at].inode == inode) files[at].owes = error;
        }
        note(FAILED_SYNC, inode, path, strlen(path), since, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0) {
        errno = error;
        return -1;
    }
    int result = syscall(call, fd);
    if (result == 0) note(SYNC, inode, path, strlen(path), since, NULL, 0, 0);
    return result;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }
/* It promises nothing after a loss of power. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    return syscall(SYS_sync_file_range, fd, offset, length, flags);
}

/* RENAME and LINK name both paths, with a zero between them; one that is outside is empty. */
static void note_pair(uint32_t kind, const char *from, const char *to, const char *to_absolute) {
    if (from == NULL && to == NULL) return;
    char both[2 * PATH_MAX];
    int length = snprintf(both, sizeof both, "%s%c%s", from == NULL ? "" : from, '\0', to == NULL ? "" : to);
    note(kind, inode_of(to_absolute), both, (size_t)length, 0, NULL, 0, 0);
}

static int rename_at(int from_at, const char *from, int to_at, const char *to, unsigned int flags) {
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    const char *old = folder_length > 0 ? absolute(from_at, from, from_buffer) : NULL;
    const char *new = folder_length > 0 ? absolute(to_at, to, to_buffer) : NULL;
    if (old == NULL || new == NULL || (below(old) == NULL && below(new) == NULL)) {
        return syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    }
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_renameat2, from_at, from, to_at, to, flags), error = errno;
    if (result == 0) note_pair(RENAME, below(old), below(new), new);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) {
    return rename_at(from_at, from, to_at, to, 0);
}
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags) {
    return rename_at(from_at, from, to_at, to, flags);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    const char *old = folder_length > 0 ? absolute(from_at, from, from_buffer) : NULL;
    const char *new = folder_length > 0 ? absolute(to_at, to, to_buffer) : NULL;
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_linkat, from_at, from, to_at, to, flags), error = errno;
    if (result == 0 && old != NULL && new != NULL) note_pair(LINK, below(old), below(new), new);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    char buffer[PATH_MAX];
    const char *whole = folder_length > 0 ? absolute(at, path, buffer) : NULL;
    const char *inside = whole != NULL ? below(whole) : NULL;
    if (inside == NULL) return syscall(SYS_unlinkat, at, path, flags);
    pthread_mutex_lock(&lock);
    uint64_t inode = inode_of(whole);
    int result = syscall(SYS_unlinkat, at, path, flags), error = errno;
    if (result == 0) note_name(UNLINK, inode, inside);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int result = unlinkat(AT_FDCWD, path, 0);
    return result == 0 || errno != EISDIR ? result : rmdir(path);
}

int mkdirat(int at, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    const char *whole = folder_length > 0 ? absolute(at, path, buffer) : NULL;
    const char *inside = whole != NULL ? below(whole) : NULL;
    if (inside == NULL) return syscall(SYS_mkdirat, at, path, mode);
    pthread_mutex_lock(&lock);
    int result = -1, error = EEXIST;
    if (inode_of(whole) == 0 && (error = failure(FAIL_CREATE, inside, 1)) == 0) {
        result = syscall(SYS_mkdirat, at, path, mode);
        error = errno;
        if (result == 0) note_name(MAKE_FOLDER, inode_of(whole), inside);
    }
    pthread_mutex_unlock(&lock);
    if (result < 0) errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

static int is_wall_clock(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && control != NULL && is_wall_clock(clock)) {
        int64_t offset = __atomic_load_n(&control->clock_offset, __ATOMIC_RELAXED);
        int64_t nanoseconds = now->tv_nsec + offset % 1000000000;
        now->tv_sec += offset / 1000000000 + (nanoseconds < 0 ? -1 : nanoseconds >= 1000000000 ? 1 : 0);
        now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
