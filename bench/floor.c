/* The floor: what walking costs when nothing is done with what is found.
 *
 *     floor ROOT THREADS stat|cached|nostat
 *
 * Raw getdents64 and a statx relative to the directory's descriptor; no output, no names kept. Each thread takes
 * one directory at a time from a shared stack, as most walkers do, so this is the floor of that design: a walker
 * that lets several threads stat one directory can be faster where a directory is very large.
 * "cached" asks statx for AT_STATX_DONT_SYNC, which lets a network file system answer from its cache.
 *
 * A child is opened relative to its parent, whose descriptor stays open until its last child has been opened; the
 * stack is last in, first out, so that few are open at a time. Prints "ENTRIES entries, ERRORS errors, SECONDS s"
 * and exits with 1 if anything could not be read: a floor that missed something is none. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, STACK = 128 * 1024 };

struct entry { /* linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

struct parent {
    int fd;
    long users; /* unopened children, and the thread that lists it; guarded by `lock` */
};

struct job {
    struct job *below;
    struct parent *parent;
    char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job *top;       /* directories to read */
static long unfinished;       /* jobs on the stack and jobs being worked on: 0 means done */
static long entries, errors;  /* sums of what the threads counted, added when each ends */

static bool want_stat = true;
static int stat_flags = AT_SYMLINK_NOFOLLOW;

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) { perror("floor"); exit(3); }
    return memory;
}

static struct job *new_job(struct parent *parent, const char *name) {
    size_t length = strlen(name) + 1;
    struct job *job = allocate(sizeof *job + length);
    job->below = NULL;
    job->parent = parent;
    memcpy(job->name, name, length);
    return job;
}

/* Gives up one use of a parent; the last one closes it. */
static void release(struct parent *parent) {
    pthread_mutex_lock(&lock);
    bool last = --parent->users == 0;
    pthread_mutex_unlock(&lock);
    if (last) {
        if (parent->fd >= 0) close(parent->fd);
        free(parent);
    }
}

/* Puts a chain of `count` jobs of one parent on the stack. */
static void push(struct job *first, struct job *last, long count) {
    pthread_mutex_lock(&lock);
    first->parent->users += count;
    last->below = top;
    top = first;
    unfinished += count;
    if (count > 1) pthread_cond_broadcast(&changed);
    else pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static struct job *pop(void) {
    pthread_mutex_lock(&lock);
    while (!top && unfinished) pthread_cond_wait(&changed, &lock);
    struct job *job = top;
    if (job) top = job->below;
    pthread_mutex_unlock(&lock);
    return job;
}

static void finished(void) {
    pthread_mutex_lock(&lock);
    if (--unfinished == 0) pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool dot_or_dotdot(const char *name) {
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Leaves the sub-directories among the listed entries on the stack. Before anything is looked at, so that behind a
 * slow server other threads need not wait for this one's round trips. */
static void push_directories(struct parent *self, char *buffer, long bytes) {
    struct job *first = NULL, *last = NULL;
    long count = 0;
    for (long at = 0; at < bytes;) {
        struct entry *entry = (struct entry *)(buffer + at);
        at += entry->length;
        if (entry->type != DT_DIR || dot_or_dotdot(entry->name)) continue;
        struct job *job = new_job(self, entry->name);
        if (last) last->below = job;
        else first = job;
        last = job;
        count++;
    }
    if (first) push(first, last, count);
}

/* Lists one open directory and looks at each entry. */
static void list(struct parent *self, char *buffer, long *seen, long *failed) {
    struct statx status;
    long bytes;
    while ((bytes = syscall(SYS_getdents64, self->fd, buffer, BUFFER)) > 0) {
        push_directories(self, buffer, bytes);
        for (long at = 0; at < bytes;) {
            struct entry *entry = (struct entry *)(buffer + at);
            at += entry->length;
            if (dot_or_dotdot(entry->name)) continue;
            ++*seen;
            if (!want_stat && entry->type != DT_UNKNOWN) continue;
            if (statx(self->fd, entry->name, stat_flags, STATX_BASIC_STATS, &status)) {
                ++*failed;
            } else if (entry->type == DT_UNKNOWN && S_ISDIR(status.stx_mode)) {
                struct job *job = new_job(self, entry->name);
                push(job, job, 1);
            }
        }
    }
    if (bytes < 0) ++*failed;
}

static void *work(void *unused) {
    (void)unused;
    char *buffer = allocate(BUFFER);
    long seen = 0, failed = 0;
    struct job *job;
    while ((job = pop())) {
        struct parent *self = allocate(sizeof *self);
        int from = job->parent ? job->parent->fd : AT_FDCWD;
        self->users = 1;
        self->fd = openat(from, job->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (job->parent) release(job->parent);
        free(job);
        if (self->fd >= 0) list(self, buffer, &seen, &failed);
        else failed++;
        release(self);
        finished();
    }
    free(buffer);
    pthread_mutex_lock(&lock);
    entries += seen;
    errors += failed;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    long threads = count == 4 ? strtol(arguments[2], NULL, 10) : 0;
    if (threads < 1) {
        fprintf(stderr, "usage: floor ROOT THREADS stat|cached|nostat\n");
        return 2;
    }
    want_stat = strcmp(arguments[3], "nostat") != 0;
    if (!strcmp(arguments[3], "cached")) stat_flags |= AT_STATX_DONT_SYNC;

    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files)) perror("floor: cannot raise the limit of open files");
    }

    double start = now();
    top = new_job(NULL, arguments[1]);
    unfinished = 1;
    pthread_t *thread = allocate((size_t)threads * sizeof *thread);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (long i = 0; i < threads; i++) {
        int error = pthread_create(&thread[i], &small, work, NULL);
        if (error) { fprintf(stderr, "floor: thread %ld: %s\n", i, strerror(error)); return 3; }
    }
    for (long i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    printf("%ld entries, %ld errors, %.3f s\n", entries, errors, now() - start);
    return errors != 0;
}
