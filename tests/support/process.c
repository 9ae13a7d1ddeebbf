/* SPDX-License-Identifier: Apache-2.0 */
#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef ETCDC_TIME_SCALE
#define ETCDC_TIME_SCALE 1
#endif

enum { POLL_MS = 10, FIRST_INHERITED = 3, TAIL_MAX = 256 * 1024 };

int64_t test_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t test_soak_ms(int64_t ms)
{
    const char *text = getenv("CHAOS_SECONDS");
    int64_t given_ms = text == NULL ? ms : strtoll(text, NULL, 10) * 1000;

    return given_ms < ms ? given_ms : ms;
}

int64_t test_deadline_ms(int64_t ms)
{
    return test_now_ms() + ms * ETCDC_TIME_SCALE;
}

bool test_poll_again(int64_t deadline_ms)
{
    if (test_now_ms() >= deadline_ms)
        return false;
    poll(NULL, 0, POLL_MS);
    return true;
}

/* In the child, between fork and exec: nothing here allocates or locks. */
static void prepare_child(pid_t parent, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* the parent died before the line above */
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    long limit = sysconf(_SC_OPEN_MAX);
    if (close_range(FIRST_INHERITED, ~0U, 0) != 0)
        for (int fd = FIRST_INHERITED; fd < (int)limit; fd++)
            close(fd);
}

static pid_t spawn(const char *const *argv, const char *const *env, int in, int out)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prepare_child(parent, in, out);
        execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        static const char failure[] = ": cannot be run\n";
        if (write(STDERR_FILENO, argv[0], strlen(argv[0])) > 0)
            (void)!write(STDERR_FILENO, failure, strlen(failure));
        _exit(127);
    }
    if (pid < 0)
        perror("fork");
    return pid > 0 ? pid : 0;
}

static int open_null(void)
{
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

pid_t process_start(const char *const *argv, const char *const *env, const char *log)
{
    pid_t pid = 0;
    int in = open_null();
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (in >= 0 && out >= 0)
        pid = spawn(argv, env, in, out);
    else
        perror(log);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return pid;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int process_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return exit_code(status);
}

bool process_ended(pid_t pid)
{
    int status;
    return waitpid(pid, &status, WNOHANG) != 0;
}

/* Reads until the end; false when the deadline passed first. */
static bool read_output(int fd, int64_t deadline, char *output, size_t size)
{
    size_t len = 0;
    for (;;) {
        char chunk[4096];
        int64_t left = deadline - test_now_ms();
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (left <= 0 || (poll(&poller, 1, (int)left) < 0 && errno != EINTR))
            return false;
        if (poller.revents == 0)
            continue;
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got <= 0)
            return true;
        size_t room = size > len ? size - 1 - len : 0;
        size_t take = (size_t)got < room ? (size_t)got : room;
        if (take > 0)
            memcpy(output + len, chunk, take);
        len += take;
        if (size > 0)
            output[len] = '\0';
    }
}

int process_run(const char *const *argv, const char *const *env, int64_t timeout_ms, char *output,
                size_t output_size)
{
    int ends[2];
    int in = open_null();
    if (in < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        perror("pipe");
        return -1;
    }
    if (output_size > 0)
        output[0] = '\0';
    pid_t pid = spawn(argv, env, in, ends[1]);
    close(in);
    close(ends[1]);
    if (pid != 0 && !read_output(ends[0], test_deadline_ms(timeout_ms), output, output_size))
        kill(pid, SIGKILL);
    close(ends[0]);
    return pid != 0 ? process_wait(pid) : -1;
}

static bool has_room(const char *path, size_t size)
{
    struct statvfs fs;
    return access(path, W_OK | X_OK) == 0 && statvfs(path, &fs) == 0 && fs.f_bavail > size / fs.f_bsize;
}

/* The shell outlives us on purpose: it is neither tied to our death nor reached by the terminal's signals. */
static pid_t start_keeper(const char *path, int in)
{
    static const char script[] =
        "trap '' INT TERM HUP QUIT; read -r end; "
        "for i in 0 1 2 3 4 5 6 7 8 9; do rm -rf -- \"$0\" && break; sleep 0.2; done";
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    setsid();
    int null = open_null();
    dup2(in, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close_range(FIRST_INHERITED, ~0U, 0);
    execl("/bin/sh", "sh", "-c", script, path, (char *)NULL);
    _exit(127);
}

bool temp_dir_make(struct temp_dir *dir, size_t size)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > sizeof(dir->path) / 2)
        base = "/tmp";
    if (has_room("/dev/shm", size))
        base = "/dev/shm";
    snprintf(dir->path, sizeof(dir->path), "%s/etcdc-test-XXXXXX", base);
    if (mkdtemp(dir->path) == NULL) {
        perror(dir->path);
        return false;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == 0) {
        dir->keeper = start_keeper(dir->path, ends[0]);
        dir->pipe = ends[1];
        close(ends[0]);
        if (dir->keeper > 0)
            return true;
        close(ends[1]);
    }
    perror("keeper");
    rmdir(dir->path);
    return false;
}

void temp_dir_remove(struct temp_dir *dir)
{
    close(dir->pipe);
    process_wait(dir->keeper);
    *dir = (struct temp_dir){.path = ""};
}

/* Where the last `lines` lines of a text begin. */
static const char *tail_of(const char *text, size_t len, size_t lines)
{
    const char *pos = text + len;
    while (pos > text && (lines > 0 || pos[-1] != '\n')) {
        pos--;
        if (*pos == '\n' && pos != text + len - 1)
            lines--;
        if (lines == 0)
            return pos + 1;
    }
    return pos;
}

void print_tail(const char *path, size_t lines)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(TAIL_MAX);
    if (file != NULL && text != NULL) {
        if (fseek(file, -(long)TAIL_MAX, SEEK_END) != 0)
            rewind(file);
        size_t len = fread(text, 1, TAIL_MAX, file);
        const char *tail = tail_of(text, len, lines);
        fprintf(stderr, "--- the end of %s\n%.*s---\n", path, (int)(text + len - tail), tail);
    }
    free(text);
    if (file != NULL)
        fclose(file);
}
