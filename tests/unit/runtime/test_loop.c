/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/loop.h"

#include "base/clock.h"
#include "support/alloc_fail.h"
#include "support/fake_env.h"
#include "support/test.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 8, ITEMS = 500, PATIENCE_MS = 20000 };

static struct etcd_loop *make(etcd_drive drive, etcd_dispatch dispatch, etcd_poller poller)
{
    struct etcd_loop *loop = NULL;
    etcd_error err;

    if (etcd_loop_new(ETCD_LOOP_OPTS(.drive = drive, .dispatch = dispatch, .poller = poller), &loop, &err) !=
        ETCD_OK)
        fail_msg("%s", err.message);
    return loop;
}

static void await(const size_t *number, size_t wanted)
{
    for (int64_t until_ms = etcd__clock_ms() + PATIENCE_MS;
         __atomic_load_n(number, __ATOMIC_ACQUIRE) < wanted;) {
        assert_true(etcd__clock_ms() < until_ms);
        (void)usleep(1000);
    }
    assert_int_equal(__atomic_load_n(number, __ATOMIC_ACQUIRE), wanted);
}

/* ---- work ------------------------------------------------------------------------------------------------
 */

struct item {
    struct etcd__work work;
    struct crowd *crowd;
    size_t number;
};

struct crowd {
    struct etcd_loop *loop;
    pthread_t thread;
    struct item items[ITEMS];
    size_t last, disorder;
    size_t *total; /* of all crowds; engine */
};

static void run_item(struct etcd__work *work)
{
    struct item *item = ETCD__CONTAINER(work, struct item, work);

    if (item->number != item->crowd->last)
        item->crowd->disorder++;
    item->crowd->last = item->number + 1;
    (void)__atomic_add_fetch(item->crowd->total, 1, __ATOMIC_RELEASE);
}

static void *post_all(void *arg)
{
    struct crowd *crowd = arg;

    for (size_t i = 0; i < ITEMS; i++) {
        crowd->items[i] = (struct item){.work.run = run_item, .crowd = crowd, .number = i};
        etcd__loop_post(crowd->loop, &crowd->items[i].work);
    }
    return NULL;
}

static void post_from_many_threads(etcd_poller poller)
{
    struct etcd_loop *loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, poller);
    struct crowd *crowds = calloc(THREADS, sizeof(*crowds));
    size_t total = 0;

    for (size_t i = 0; i < THREADS; i++) {
        crowds[i].loop = loop;
        crowds[i].total = &total;
        assert_int_equal(pthread_create(&crowds[i].thread, NULL, post_all, &crowds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(crowds[i].thread, NULL), 0);
    await(&total, (size_t)THREADS * ITEMS);
    etcd_loop_free(loop);
    /* Each thread's work in its order. */
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(crowds[i].disorder, 0);
    free(crowds);
}

static void test_work_from_many_threads(void **state)
{
    (void)state;
    post_from_many_threads(ETCD_POLLER_EPOLL);
    post_from_many_threads(ETCD_POLLER_POLL);
}

/* What was posted is done, even when the loop goes at once. */
static void test_the_end_does_not_lose_work(void **state)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    size_t total = 0;

    (void)state;
    crowd->loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT);
    crowd->total = &total;
    (void)post_all(crowd);
    etcd_loop_free(crowd->loop);
    assert_int_equal(total, ITEMS);
    free(crowd);
}

static void test_posting_makes_the_descriptor_readable(void **state)
{
    struct etcd_loop *loop = make(ETCD_DRIVE_CALLER, ETCD_DISPATCH_LOOP, ETCD_POLLER_EPOLL);
    struct pollfd entry = {.fd = etcd_loop_fd(loop), .events = POLLIN};
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    size_t total = 0;

    (void)state;
    crowd->loop = loop;
    crowd->total = &total;
    assert_int_equal(poll(&entry, 1, 0), 0);
    for (size_t round = 0; round < 3; round++) {
        crowd->last = 0;
        (void)post_all(crowd);
        assert_int_equal(poll(&entry, 1, 0), 1);
        assert_int_equal(etcd_loop_process(loop, NULL), ETCD_OK);
        assert_int_equal(total, (round + 1) * ITEMS);
        assert_int_equal(poll(&entry, 1, 0), 0);
    }
    etcd_loop_free(loop);
    free(crowd);
}

/* ---- functions that are waited for ------------------------------------------------------------------------
 */

struct where {
    pthread_t thread;
    struct etcd_loop *loop;
    bool inner_done, deadlock;
};

static void run_inner(void *arg)
{
    *(bool *)arg = true;
}

static void note_where(void *arg)
{
    struct where *where = arg;

    where->thread = pthread_self();
    where->deadlock = etcd__loop_would_deadlock(where->loop);
    etcd__loop_run(where->loop, run_inner, &where->inner_done); /* from inside: at once */
}

static void test_running_a_function(void **state)
{
    struct where where = {.loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT)};

    (void)state;
    etcd__loop_run(where.loop, note_where, &where);
    assert_false(pthread_equal(where.thread, pthread_self()));
    assert_true(where.inner_done);
    assert_true(where.deadlock);
    assert_false(etcd__loop_would_deadlock(where.loop));
    etcd_loop_free(where.loop);
    where = (struct where){.loop = make(ETCD_DRIVE_CALLER, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT)};
    etcd__loop_run(where.loop, note_where, &where);
    assert_true(pthread_equal(where.thread, pthread_self()));
    assert_true(where.inner_done);
    etcd_loop_free(where.loop);
}

static void arm_timer(void *arg)
{
    struct etcd__timer *timer = arg;
    struct etcd_loop *loop = *(struct etcd_loop **)(timer + 1);

    etcd__timer_arm(&loop->reactor, timer, loop->reactor.now_ms + 30);
}

struct ticking {
    struct etcd__timer timer;
    struct etcd_loop *loop;
    size_t ticks;
};

static void on_tick(struct etcd__timer *timer)
{
    ETCD__CONTAINER(timer, struct ticking, timer)->ticks++;
}

/* A timer that is armed from outside of a turn, after a long pause: it counts from now, and the descriptor
 * tells of it. */
static void test_a_timer_between_turns(void **state)
{
    struct ticking ticking = {.timer.on_expire = on_tick};
    struct pollfd entry = {.events = POLLIN};
    int64_t begin_ms;

    (void)state;
    ticking.loop = make(ETCD_DRIVE_CALLER, ETCD_DISPATCH_LOOP, ETCD_POLLER_EPOLL);
    entry.fd = etcd_loop_fd(ticking.loop);
    (void)usleep(100000);
    begin_ms = etcd__clock_ms();
    etcd__loop_run(ticking.loop, arm_timer, &ticking.timer);
    while (ticking.ticks == 0) {
        assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
        assert_int_equal(etcd_loop_process(ticking.loop, NULL), ETCD_OK);
    }
    assert_true(etcd__clock_ms() - begin_ms >= 29);
    assert_int_equal(ticking.ticks, 1);
    etcd_loop_free(ticking.loop);
}

/* ---- callbacks --------------------------------------------------------------------------------------------
 */

struct told {
    struct etcd__callback callback;
    struct etcd_loop *loop;
    size_t runs, finished;
    bool inside;
    bool finish_within;
    unsigned sleep_us;
};

static void run_told(struct etcd__callback *callback)
{
    struct told *told = ETCD__CONTAINER(callback, struct told, callback);

    (void)__atomic_add_fetch(&told->runs, 1, __ATOMIC_RELEASE);
    if (told->sleep_us > 0)
        (void)usleep(told->sleep_us);
    if (told->finish_within)
        told->inside = etcd__loop_finish_callback(told->loop, callback);
    (void)__atomic_add_fetch(&told->finished, 1, __ATOMIC_RELEASE);
}

static void queue_it(void *arg)
{
    struct told *told = arg;

    etcd__loop_call_back(told->loop, &told->callback);
    etcd__loop_call_back(told->loop, &told->callback);
}

static void test_queued_twice_is_once(void **state)
{
    struct told told = {.callback.run = run_told};

    (void)state;
    told.loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT);
    etcd__loop_run(told.loop, queue_it, &told);
    await(&told.finished, 1);
    etcd__loop_run(told.loop, queue_it, &told); /* may be queued again once it has run */
    await(&told.finished, 2);
    etcd_loop_free(told.loop);
    assert_int_equal(told.runs, 2);
}

static void test_finishing_from_outside_waits(void **state)
{
    struct told told = {.callback.run = run_told, .sleep_us = 50000};

    (void)state;
    told.loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT);
    etcd__loop_run(told.loop, queue_it, &told);
    assert_false(etcd__loop_finish_callback(told.loop, &told.callback));
    assert_int_equal(told.finished, 1);
    assert_false(etcd__loop_finish_callback(told.loop, &told.callback)); /* idle: at once */
    etcd_loop_free(told.loop);
}

static void test_finishing_from_inside_does_not(void **state)
{
    struct told told = {.callback.run = run_told, .finish_within = true};

    (void)state;
    told.loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP, ETCD_POLLER_DEFAULT);
    etcd__loop_run(told.loop, queue_it, &told);
    await(&told.finished, 1);
    assert_true(told.inside);
    etcd_loop_free(told.loop);
}

/* Where nobody else would run it, whoever finishes it does. */
static void test_finishing_runs_what_waits(void **state)
{
    static const struct {
        etcd_drive drive;
        etcd_dispatch dispatch;
    } cases[] = {{ETCD_DRIVE_CALLER, ETCD_DISPATCH_LOOP}, {ETCD_DRIVE_THREAD, ETCD_DISPATCH_PROCESS}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct told told = {.callback.run = run_told};

        told.loop = make(cases[i].drive, cases[i].dispatch, ETCD_POLLER_DEFAULT);
        etcd__loop_run(told.loop, queue_it, &told);
        assert_int_equal(told.runs, 0);
        assert_false(etcd__loop_finish_callback(told.loop, &told.callback));
        assert_int_equal(told.runs, 1);
        assert_int_equal(etcd_loop_process(told.loop, NULL), ETCD_OK);
        assert_int_equal(told.runs, 1);
        etcd_loop_free(told.loop);
    }
}

/* A callback that stays inside until it may leave. */
struct stay {
    struct etcd__callback callback;
    struct etcd_loop *loop;
    size_t entered, may_leave;
};

static void run_stay(struct etcd__callback *callback)
{
    struct stay *stay = ETCD__CONTAINER(callback, struct stay, callback);

    (void)__atomic_add_fetch(&stay->entered, 1, __ATOMIC_RELEASE);
    await(&stay->may_leave, 1);
}

static void queue_stay(void *arg)
{
    struct stay *stay = arg;

    etcd__loop_call_back(stay->loop, &stay->callback);
}

static void *process_loop(void *arg)
{
    assert_int_equal(etcd_loop_process(arg, NULL), ETCD_OK);
    return NULL;
}

static void *finish_stay(void *arg)
{
    struct stay *stay = arg;

    assert_false(etcd__loop_finish_callback(stay->loop, &stay->callback));
    return NULL;
}

/* One thread is inside a callback while another finishes a second one, and leaves before it. */
static void test_two_threads_inside(void **state)
{
    struct etcd_loop *loop = make(ETCD_DRIVE_THREAD, ETCD_DISPATCH_PROCESS, ETCD_POLLER_DEFAULT);
    struct stay one = {.callback.run = run_stay, .loop = loop}, two = one;
    pthread_t processing, finishing;

    (void)state;
    etcd__loop_run(loop, queue_stay, &one);
    assert_int_equal(pthread_create(&processing, NULL, process_loop, loop), 0);
    await(&one.entered, 1);
    etcd__loop_run(loop, queue_stay, &two);
    assert_int_equal(pthread_create(&finishing, NULL, finish_stay, &two), 0);
    await(&two.entered, 1);
    (void)__atomic_add_fetch(&one.may_leave, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(processing, NULL), 0);
    (void)__atomic_add_fetch(&two.may_leave, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(finishing, NULL), 0);
    assert_false(etcd__loop_finish_callback(loop, &one.callback)); /* long over: nothing to wait for */
    assert_false(etcd__loop_finish_callback(loop, &two.callback));
    etcd_loop_free(loop);
}

static void test_what_waits_is_told_at_the_end(void **state)
{
    static const struct {
        etcd_drive drive;
        etcd_dispatch dispatch;
    } cases[] = {
        {ETCD_DRIVE_CALLER, ETCD_DISPATCH_LOOP},
        {ETCD_DRIVE_THREAD, ETCD_DISPATCH_PROCESS},
        {ETCD_DRIVE_THREAD, ETCD_DISPATCH_LOOP},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct told told = {.callback.run = run_told};

        told.loop = make(cases[i].drive, cases[i].dispatch, ETCD_POLLER_DEFAULT);
        etcd__loop_run(told.loop, queue_it, &told);
        etcd_loop_free(told.loop);
        assert_int_equal(told.finished, 1);
    }
}

/* ---- making one
 * -------------------------------------------------------------------------------------------- */

static void make_one(size_t n, void *user)
{
    const etcd_loop_opts *opts = user;
    struct etcd_loop *loop = NULL;
    size_t before = alloc_live();
    etcd_error err;
    etcd_status st = etcd_loop_new(opts, &loop, &err);

    (void)n;
    if (st != ETCD_OK) {
        assert_int_equal(st, ETCD_E_NO_MEMORY);
        assert_null(loop);
    }
    etcd_loop_free(loop);
    assert_int_equal(alloc_live(), before);
}

static void test_no_memory(void **state)
{
    etcd_loop_opts opts = ETCD_LOOP_OPTS_INIT;

    (void)state;
    assert_true(alloc_fail_each(make_one, &opts) > 2);
    opts.drive = ETCD_DRIVE_CALLER;
    opts.poller = ETCD_POLLER_POLL;
    assert_true(alloc_fail_each(make_one, &opts) > 2);
}

static void test_a_given_environment(void **state)
{
    struct fake_env *env = fake_env_new(1);
    struct etcd_loop *loop = NULL;
    struct ticking ticking = {.timer.on_expire = on_tick};
    int64_t begin_ms = fake_now(env);

    (void)state;
    assert_int_equal(etcd__loop_new_env(fake_env_table(env), &loop, NULL), ETCD_OK);
    ticking.loop = loop;
    fake_pass(env, 3600 * 1000);
    etcd__loop_run(loop, arm_timer, &ticking.timer);
    assert_int_equal(etcd_loop_wait(loop, 1000000, NULL), ETCD_OK);
    assert_int_equal(ticking.ticks, 1);
    assert_int_equal(fake_now(env) - begin_ms, 3600 * 1000 + 30);
    assert_int_equal(etcd__loop_after_ms(loop, 5), fake_now(env) + 5);
    assert_int_equal(etcd__loop_after_ms(loop, ETCD_TIMEOUT_NONE), INT64_MAX);
    etcd_loop_free(loop);
    fake_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_from_many_threads),
        cmocka_unit_test(test_the_end_does_not_lose_work),
        cmocka_unit_test(test_posting_makes_the_descriptor_readable),
        cmocka_unit_test(test_running_a_function),
        cmocka_unit_test(test_a_timer_between_turns),
        cmocka_unit_test(test_queued_twice_is_once),
        cmocka_unit_test(test_finishing_from_outside_waits),
        cmocka_unit_test(test_finishing_from_inside_does_not),
        cmocka_unit_test(test_finishing_runs_what_waits),
        cmocka_unit_test(test_two_threads_inside),
        cmocka_unit_test(test_what_waits_is_told_at_the_end),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_a_given_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
