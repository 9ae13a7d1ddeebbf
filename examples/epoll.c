/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with an event loop of its own: one epoll set, one thread, etcd inside it.
 *
 * All that the client waits for - sockets, timers, wake-ups - is behind one descriptor. The program watches
 * it beside its own, and calls etcd_loop_process() when it is readable; that is where callbacks run. Nothing
 * here blocks: calls have their `_async` form, and the watch pushes.
 *
 *     epoll [--once]      --once ends the program when its own three writes came back
 *     ETCDC_ENDPOINT      which server; localhost:2379 by default
 */
#include <etcdc.h>

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define KEY "/etcdc-examples/epoll/ticks"

enum { TICK_MS = 100, TICKS = 3 };

struct program {
    etcd_loop *loop;
    etcd_client *client;
    etcd_watch *watch;
    int epoll_fd, timer_fd, signal_fd;
    int ticks, seen;
    bool once, stop, failed;
};

static void complain(struct program *program, const char *what, const etcd_error *err)
{
    printf("%s: %s\n", what, err->message);
    program->stop = program->failed = true;
}

/* ---- what etcd tells ---------------------------------------------------------------------------------- */

static void on_put(etcd_op *op, void *user_data)
{
    struct program *program = user_data;
    etcd_put_result *result = NULL;
    etcd_error err;

    if (etcd_put_take(op, &result, &err) != ETCD_OK)
        complain(program, "put", &err);
    else
        printf("put: done at revision %" PRId64 "\n", etcd_put_result_header(result)->revision);
    etcd_put_result_free(result);
}

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct program *program = user_data;

    (void)watch;
    if (events == NULL) { /* the end */
        if (status != ETCD_E_CANCELLED)
            complain(program, "watch", err);
        return;
    }
    for (size_t i = 0; i < etcd_events_count(events); i++) {
        const etcd_event *event = etcd_events_at(events, i);

        if (event->type == ETCD_EVENT_PUT)
            printf("watch: '%s'\n", (const char *)event->kv.value.data);
        program->seen += event->type == ETCD_EVENT_PUT;
    }
    if (program->once && program->seen >= TICKS)
        program->stop = true;
}

/* ---- what the program does by itself ------------------------------------------------------------------ */

static void on_tick(struct program *program)
{
    char text[32];
    uint64_t expirations;
    etcd_error err;

    if (read(program->timer_fd, &expirations, sizeof(expirations)) < 0 || program->ticks == TICKS)
        return;
    snprintf(text, sizeof(text), "tick %d", ++program->ticks);
    if (etcd_put_async(program->client, etcd_cstr(KEY), etcd_cstr(text), NULL, on_put, program, NULL, &err) !=
        ETCD_OK)
        complain(program, "put", &err);
}

static bool watch_fd(struct program *program, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return fd >= 0 && epoll_ctl(program->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool make_descriptors(struct program *program)
{
    const struct itimerspec period = {.it_interval.tv_nsec = TICK_MS * 1000000L,
                                      .it_value.tv_nsec = TICK_MS * 1000000L};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    program->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    program->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    program->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(program->timer_fd, 0, &period, NULL);
    return watch_fd(program, program->signal_fd) && watch_fd(program, program->timer_fd);
}

static bool start(struct program *program, etcd_error *err)
{
    const char *endpoint = getenv("ETCDC_ENDPOINT");

    if (endpoint == NULL)
        endpoint = "localhost:2379";
    return etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &program->loop, err) == ETCD_OK &&
           etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(endpoint), .loop = program->loop),
                            &program->client, err) == ETCD_OK &&
           etcd_watch_open(program->client, etcd_cstr(KEY),
                           ETCD_WATCH_OPTS(.on_events = on_events, .user_data = program), &program->watch,
                           err) == ETCD_OK;
}

static void run(struct program *program)
{
    struct epoll_event event;
    etcd_error err;

    while (!program->stop) {
        if (epoll_wait(program->epoll_fd, &event, 1, -1) < 1)
            continue;
        if (event.data.fd == program->timer_fd)
            on_tick(program);
        else if (event.data.fd == program->signal_fd)
            program->stop = true;
        else if (etcd_loop_process(program->loop, &err) != ETCD_OK)
            complain(program, "loop", &err);
    }
}

int main(int argc, char **argv)
{
    struct program program = {.once = argc > 1 && strcmp(argv[1], "--once") == 0};
    etcd_error err = {.status = ETCD_OK};

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!make_descriptors(&program) || !start(&program, &err) ||
        !watch_fd(&program, etcd_loop_fd(program.loop))) {
        printf("cannot start: %s\n", err.status == ETCD_OK ? "no descriptor to be had" : err.message);
        return 1;
    }
    run(&program);
    /* The one call that blocks: the demonstration leaves nothing behind. */
    if (etcd_delete(program.client, etcd_cstr(KEY), NULL, NULL, &err) != ETCD_OK)
        complain(&program, "delete", &err);
    etcd_watch_close(program.watch);
    etcd_client_free(program.client);
    etcd_loop_free(program.loop);
    close(program.timer_fd);
    close(program.signal_fd);
    close(program.epoll_fd);
    printf("stopped\n");
    return program.failed ? 1 : 0;
}
