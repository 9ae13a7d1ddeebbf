/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include "base/str.h"
#include "thread.h"
#include "wake.h"

#include <assert.h>

struct capp__runner {
    pthread_t thread;
    int wake_fd;
    char name[16];
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t posted;
        capp__job_fn *job; /* NULL: idle */
        void *arg;
        bool quit;
    } shared;
};

static void *runner_main(void *arg)
{
    struct capp__runner *runner = arg;

    capp__thread_name(runner->name);
    pthread_mutex_lock(&runner->shared.mutex);
    while (!runner->shared.quit) {
        capp__job_fn *job = runner->shared.job;

        if (job == NULL) {
            pthread_cond_wait(&runner->shared.posted, &runner->shared.mutex);
            continue;
        }
        void *job_arg = runner->shared.arg;
        pthread_mutex_unlock(&runner->shared.mutex);
        job(job_arg);
        pthread_mutex_lock(&runner->shared.mutex);
        runner->shared.job = NULL;
        capp__wake_up(runner->wake_fd);
    }
    pthread_mutex_unlock(&runner->shared.mutex);
    return NULL;
}

static void deinit(struct capp__runner *runner)
{
    pthread_cond_destroy(&runner->shared.posted);
    pthread_mutex_destroy(&runner->shared.mutex);
    etcd__free(runner);
}

struct capp__runner *capp__runner_new(const char *name, const sigset_t *mask, int wake_fd)
{
    struct capp__runner *runner = ETCD__NEW(struct capp__runner);

    if (runner == NULL)
        return NULL;
    runner->wake_fd = wake_fd;
    etcd__format(runner->name, sizeof(runner->name), "%s", name);
    if (pthread_mutex_init(&runner->shared.mutex, NULL) != 0) {
        etcd__free(runner);
        return NULL;
    }
    if (pthread_cond_init(&runner->shared.posted, NULL) != 0) {
        pthread_mutex_destroy(&runner->shared.mutex);
        etcd__free(runner);
        return NULL;
    }
    if (capp__thread_start(&runner->thread, mask, runner_main, runner) != 0) {
        deinit(runner);
        return NULL;
    }
    return runner;
}

void capp__runner_post(struct capp__runner *runner, capp__job_fn *fn, void *arg)
{
    pthread_mutex_lock(&runner->shared.mutex);
    assert(runner->shared.job == NULL);
    runner->shared.job = fn;
    runner->shared.arg = arg;
    pthread_cond_signal(&runner->shared.posted);
    pthread_mutex_unlock(&runner->shared.mutex);
}

bool capp__runner_idle(struct capp__runner *runner)
{
    pthread_mutex_lock(&runner->shared.mutex);
    bool idle = runner->shared.job == NULL;
    pthread_mutex_unlock(&runner->shared.mutex);
    return idle;
}

void capp__runner_free(struct capp__runner *runner)
{
    if (runner == NULL)
        return;
    pthread_mutex_lock(&runner->shared.mutex);
    assert(runner->shared.job == NULL);
    runner->shared.quit = true;
    pthread_cond_signal(&runner->shared.posted);
    pthread_mutex_unlock(&runner->shared.mutex);
    pthread_join(runner->thread, NULL);
    deinit(runner);
}

void capp__runner_abandon(struct capp__runner *runner)
{
    pthread_detach(runner->thread);
}
