/* SPDX-License-Identifier: Apache-2.0 */
/* A run with everything that a run can have, with each allocation failing in turn: it ends in order. */
#include "fixture.h"

#include "support/alloc_fail.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct server {
    capp_app *app;
    atomic_int runs;
    atomic_int reloads;
    bool started, stopped;
} server;
CAPP_TYPE_DEFINE(server);

static capp_status server_start(void *self, capp_error *reterr)
{
    (void)reterr;
    ((server *)self)->started = true;
    return CAPP_OK;
}

static capp_status server_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    (void)reterr;
    ((server *)self)->stopped = true;
    return CAPP_OK;
}

static capp_status server_reload(void *self, capp_error *reterr)
{
    (void)reterr;
    atomic_fetch_add(&((server *)self)->reloads, 1);
    return CAPP_OK;
}

/* What was started was stopped, whatever failed. */
static void server_fini(void *self)
{
    assert_int_equal(((server *)self)->started, ((server *)self)->stopped);
}

static capp_status server_run(void *self, capp_worker *worker, capp_error *reterr)
{
    server *own = self;

    if (atomic_fetch_add(&own->runs, 1) == 0)
        return capp_fail(reterr, CAPP_E_UNAVAILABLE, "not yet");
    capp_worker_ready(worker);
    capp_set_status(own->app, "serving");
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK;
}

static capp_status reload_and_stop(capp_worker *worker, void *user_data, capp_error *reterr)
{
    const server *own = capp_get(capp_worker_app(worker), server, reterr);

    (void)user_data;
    capp_reload(capp_worker_app(worker));
    /* Where a reload cannot even begin, nobody says so but the log. */
    for (int i = 0; i < 20 && atomic_load(&own->reloads) == 0; i++)
        capp_worker_wait(worker, 1);
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static int manager_fd;

static void live_once(size_t n, void *user)
{
    static const capp_inject rows[] = {CAPP_INJECT(server, app, capp_app)};
    static const capp_worker_opts opts = {
        .size = sizeof(opts), .policy = CAPP_WORKER_RESTART, .backoff_min_ms = 1, .wait_ready = true};
    static const capp_service def = CAPP_SERVICE(server, CAPP_INJECTS(rows), .start = server_start,
                                                 .stop = server_stop, .reload = server_reload,
                                                 .run = server_run, .run_opts = &opts, .fini = server_fini);
    int *succeeded = user;
    char text[64];
    capp_app *app = NULL;
    capp_error error = {0};
    capp_builder *builder = capp_builder_new();

    (void)n;
    capp_use_log(builder, log_nowhere, NULL);
    capp_use_notify(builder, CAPP_NOTIFY_ALWAYS);
    capp_add_service(builder, &def);
    capp_add_worker(builder, "stopper", reload_and_stop, NULL);
    capp_status status = capp_build(builder, &app, &error);
    if (status == CAPP_OK)
        status = capp_run(app, &error);
    if (status == CAPP_OK)
        (*succeeded)++;
    else if (status != CAPP_E_NO_MEMORY && status != CAPP_E_IO)
        fail_msg("%s", error.message);
    capp_free(app);
    while (recv(manager_fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
        continue; /* a manager that does not listen would be waited for */
}

static void each_allocation_may_fail(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int succeeded = 0;
    char name[64];

    (void)state;
    manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len = snprintf(name, sizeof(name), "@etcdc-test-oom-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, (size_t)len - 1);
    assert_int_equal(bind(manager_fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "2000000", 1);
    size_t before = alloc_live(), fds = open_fds();
    size_t count = alloc_fail_each(live_once, &succeeded);
    assert_true(count > 20);
    assert_true(succeeded >= 1);
    assert_int_equal(alloc_live(), before);
    assert_int_equal(open_fds(), fds);
    close(manager_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
