/* SPDX-License-Identifier: Apache-2.0 */
/* A program of a test in a process of its own, as a shell sees it. */
#ifndef TESTS_CAPP_CHILD_H
#define TESTS_CAPP_CHILD_H

#include "fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int out; /* its standard error */
    char text[8192];
    size_t len;
};

__attribute__((unused)) static struct child spawn(int (*program)(void))
{
    struct child child = {0};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        exit(program()); /* with its exit handlers: they look for leaks */
    }
    close(fds[1]);
    child.out = fds[0];
    return child;
}

/* Reads until the child has said it, or (NULL) until it has closed its end. */
__attribute__((unused)) static void read_until(struct child *child, const char *word)
{
    while (word == NULL || strstr(child->text, word) == NULL) {
        ssize_t n = read(child->out, child->text + child->len, sizeof(child->text) - 1 - child->len);

        if (n <= 0) {
            if (word != NULL)
                fail_msg("'%s' is not in '%s'", word, child->text);
            return;
        }
        child->len += (size_t)n;
        child->text[child->len] = '\0';
    }
}

/* The exit status, as a shell gives it. */
__attribute__((unused)) static int reap(struct child *child)
{
    int status = 0;

    read_until(child, NULL);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->out);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

__attribute__((unused)) static capp_status waiting_worker(capp_worker *worker, void *user_data,
                                                          capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    while (capp_worker_wait(worker, INT64_MAX)) {
    }
    return CAPP_OK;
}

/* Waits for its end. */
__attribute__((unused)) static int ordinary_program(void)
{
    capp_builder *app = capp_builder_new();

    capp_add_worker(app, "waits", waiting_worker, NULL);
    return capp_main(app);
}

#endif
