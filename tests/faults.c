/* Stands between a process and its disk: counts what it changes below one folder, and lets the disk be full, or the
   process be killed, from a given change on; or keeps a copy of the folder as it is before each change, which is what a
   kill there leaves. Loaded by LD_PRELOAD, so that it sees what libraries in C++ write too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, FULL, KILL, FULL_ONCE, COPY };
static int mode = OFF;
static long place = -1, count;
static char under[PATH_MAX], copies[PATH_MAX], refused[PATH_MAX], told[1 << 22];
static size_t told_bytes;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void faults_arm(int new_mode, long new_place, const char *folder, const char *folder_of_copies) {
    strncpy(under, folder, PATH_MAX - 1);
    strncpy(copies, folder_of_copies, PATH_MAX - 1);
    place = new_place;
    count = told_bytes = refused[0] = told[0] = 0;
    mode = new_mode;
}
void faults_disarm(void) { mode = OFF; }
long faults_count(void) { return count; }
const char *faults_refused(void) { return refused; }
/* A line a change: what was called, and the path. */
const char *faults_told(void) { return told; }

static void copy(long number) {
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command, "cp -a '%s' '%s/%05ld'", under, copies, number);
    if (system(command)) abort();
}

/* Whether this change of `path` is refused. A disk that is full refuses what takes room; a kill may come at any. */
static int refuse(const char *what, const char *path, int takes_room) {
    char whole[2 * PATH_MAX];
    if (mode == OFF || !path || ((mode == FULL || mode == FULL_ONCE) && !takes_room)) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX)) return 0;
        strcat(whole, "/"), strncat(whole, path, PATH_MAX - 2);
        path = whole;
    }
    if (strncmp(path, under, strlen(under))) return 0;
    pthread_mutex_lock(&one_at_a_time);
    long number = count++;
    if (told_bytes + strlen(path) + 64 < sizeof told)
        told_bytes += sprintf(told + told_bytes, "%s %s\n", what, path);
    if (mode == COPY) copy(number);
    int here = mode != COPY && place >= 0 && (mode == FULL_ONCE ? number == place : number >= place);
    if (here && mode == KILL) kill(getpid(), SIGKILL);
    if (here && !refused[0]) strncpy(refused, path, PATH_MAX - 1);
    pthread_mutex_unlock(&one_at_a_time);
    if (here) errno = ENOSPC;
    return here;
}
static int refuse_fd(const char *what, int fd, int takes_room) {
    char link[64], path[PATH_MAX];
    if (mode == OFF) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return refuse(what, path, takes_room);
}
static int is_new(const char *path) { return access(path, F_OK) != 0; }

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list list; va_start(list, flags); mode_t mode_ = va_arg(list, int); va_end(list); \
        if ((flags & O_CREAT) && is_new(path) && refuse("create", path, 1)) return -1; \
        return real(path, flags, mode_); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list list; va_start(list, flags); mode_t mode_ = va_arg(list, int); va_end(list); \
        if ((flags & O_CREAT) && folder == AT_FDCWD && is_new(path) && refuse("create", path, 1)) return -1; \
        return real(folder, path, flags, mode_); \
    }
OPENAT(openat)
OPENAT(openat64)
#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(FILE *, #name, const char *, const char *); \
        if (how[0] != 'r' && is_new(path) && refuse("create", path, 1)) return NULL; \
        return real(path, how); \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return refuse_fd("write", fd, 1) ? -1 : real(fd, data, size);
}
#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(ssize_t, #name, int, const void *, size_t, offset_type); \
        return refuse_fd("write", fd, 1) ? -1 : real(fd, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return refuse_fd("write", fd, 1) ? -1 : real(fd, parts, number);
}
#define SENDFILE(name, offset_type) \
    ssize_t name(int to, int from, offset_type *offset, size_t size) { \
        REAL(ssize_t, #name, int, int, offset_type *, size_t); \
        return refuse_fd("write", to, 1) ? -1 : real(to, from, offset, size); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)
#define FTRUNCATE(name, offset_type) \
    int name(int fd, offset_type size) { \
        REAL(int, #name, int, offset_type); \
        struct stat now; \
        int grows = !fstat(fd, &now) && size > now.st_size; \
        return refuse_fd("truncate", fd, grows) ? -1 : real(fd, size); \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)
size_t fwrite(const void *data, size_t size, size_t number, FILE *file) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    return refuse_fd("write", fileno(file), 1) ? 0 : real(data, size, number, file);
}
int fflush(FILE *file) {
    REAL(int, "fflush", FILE *);
    return file && __fpending(file) && refuse_fd("write", fileno(file), 1) ? EOF : real(file);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    return refuse_fd("fsync", fd, 0) ? -1 : real(fd);
}
int mkdir(const char *path, mode_t rights) {
    REAL(int, "mkdir", const char *, mode_t);
    return is_new(path) && refuse("mkdir", path, 1) ? -1 : real(path, rights);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return refuse("rename", to, 0) ? -1 : real(from, to);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return refuse("unlink", path, 0) ? -1 : real(path);
}
int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    return refuse("rmdir", path, 0) ? -1 : real(path);
}
