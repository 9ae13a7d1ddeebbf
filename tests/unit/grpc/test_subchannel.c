/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/subchannel.h"

#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

/* When attempts failed. */
struct log {
    struct world world;
    int64_t at[64];
    size_t count;
};

static void on_endpoint(void *user, const struct etcd__endpoint *endpoint, enum etcd__endpoint_event event,
                        const etcd_error *err)
{
    struct log *log = user;

    (void)endpoint;
    (void)event;
    if (err != NULL && log->count < ETCD__COUNT(log->at))
        log->at[log->count++] = fake_now(log->world.fake);
}

static struct log *log_open(enum fake_answer answer)
{
    static struct log log;

    memset(&log, 0, sizeof log);
    world_init(&log.world, 1);
    log.world.config.on_endpoint = on_endpoint;
    log.world.config.user = &log;
    log.world.hosts[0].net->answer = answer;
    assert_true(world_open(&log.world));
    return &log;
}

static void assert_delays(const struct log *log, double max)
{
    double delay = 50;

    assert_true(log->count > 10);
    for (size_t i = 1; i < log->count; i++) {
        double passed = (double)(log->at[i] - log->at[i - 1]);

        if (delay > max / 1.2)
            delay = max / 1.2;
        assert_true(passed >= delay * 0.79 - 2);
        assert_true(passed <= delay * 1.2 + 2);
        delay *= 1.6;
    }
}

static void the_back_off_grows_to_five_seconds(void **state)
{
    struct log *log = log_open(FAKE_REFUSE);

    (void)state;
    etcd__channel_connect(log->world.channel);
    world_run(&log->world, 100000);
    assert_delays(log, 5000);
    world_close(&log->world);
}

static void it_stays_below_a_second_while_calls_wait(void **state)
{
    struct log *log = log_open(FAKE_REFUSE);
    struct world_call call = {0};

    (void)state;
    world_unary_call(&log->world, &call, "x");
    world_run(&log->world, 30000);
    assert_delays(log, 1000);
    etcd__call_cancel(&call.call);
    world_close(&log->world);
}

static void delays_differ(void **state)
{
    struct log *log = log_open(FAKE_REFUSE);
    size_t same = 0;

    (void)state;
    etcd__channel_connect(log->world.channel);
    world_run(&log->world, 200000);
    for (size_t i = 20; i < log->count; i++)
        same += log->at[i] - log->at[i - 1] == log->at[i - 1] - log->at[i - 2] ? 1 : 0;
    assert_true(log->count > 24);
    assert_true(same < log->count / 4);
    world_close(&log->world);
}

static void success_resets_it(void **state)
{
    struct log *log = log_open(FAKE_REFUSE);
    struct world *world = &log->world;
    size_t before;

    (void)state;
    etcd__channel_connect(world->channel);
    world_run(world, 60000);
    world->hosts[0].net->answer = FAKE_ACCEPT;
    world_run(world, 10000);
    assert_int_equal(etcd__channel_ready(world->channel), 1);
    world->hosts[0].net->answer = FAKE_REFUSE;
    before = log->count;
    fake_peer_reset(world_newest(&world->hosts[0])->peer);
    world_run(world, 200);
    /* Lost, tried at once, after 50 ms, after 80 ms more. */
    assert_in_range(log->count - before, 3, 4);
    assert_true(log->at[before + 1] - log->at[before] <= 1);
    assert_in_range(log->at[before + 2] - log->at[before + 1], 39, 61);
    world_close(world);
}

static void the_dial_timeout_ends_an_attempt(void **state)
{
    struct log *log = log_open(FAKE_BLACK_HOLE);

    (void)state;
    log->count = 0;
    etcd__channel_connect(log->world.channel);
    world_run(&log->world, 30000);
    assert_in_range(log->count, 5, 6);
    assert_true(log->at[1] - log->at[0] >= 5000 + 39);
    world_close(&log->world);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_back_off_grows_to_five_seconds),
        cmocka_unit_test(it_stays_below_a_second_while_calls_wait),
        cmocka_unit_test(delays_differ),
        cmocka_unit_test(success_resets_it),
        cmocka_unit_test(the_dial_timeout_ends_an_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
