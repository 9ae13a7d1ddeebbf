/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a test starts. None outlives the thread that started it. */
#ifndef ETCDC_TESTS_PROCESS_H
#define ETCDC_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Milliseconds of the monotonic clock; a deadline `ms` from now, longer where the build is slower. */
int64_t test_now_ms(void);
int64_t test_deadline_ms(int64_t ms);
/* How long a test runs that would go on for `ms`: less when CHAOS_SECONDS says so, for ./dev soak. */
int64_t test_soak_ms(int64_t ms);
/* Waits for a moment before asking again for something that cannot be waited for. False: the deadline has
 * passed. */
bool test_poll_again(int64_t deadline_ms);

/*
 * Starts argv[0] with the environment `env`, output appended to the file `log`, no input, no
 * descriptor of ours, no blocked signal, and out of reach of the terminal's ^C. Returns the pid,
 * 0 when it could not be started (reason printed).
 */
pid_t process_start(const char *const *argv, const char *const *env, const char *log);
/* Waits for the end of a process of ours: its exit status, 128 + signal, -1 when it is none. */
int process_wait(pid_t pid);
/* Whether it ended by itself; it is waited for then. */
bool process_ended(pid_t pid);
/* Runs a program to its end, at most `timeout_ms`; its output, cut where too long, into `output`. As
 * process_wait(). */
int process_run(const char *const *argv, const char *const *env, int64_t timeout_ms, char *output,
                size_t output_size);

/* A temporary directory that is removed even when this process is killed. */
struct temp_dir {
    char path[64];
    pid_t keeper; /* a shell that waits for the end of `pipe` and removes the directory */
    int pipe;
};

/* In memory where there is room for `size` bytes, else in TMPDIR or /tmp. */
bool temp_dir_make(struct temp_dir *dir, size_t size);
void temp_dir_remove(struct temp_dir *dir);

/* Prints the last lines of a file to stderr. */
void print_tail(const char *path, size_t lines);

#endif
