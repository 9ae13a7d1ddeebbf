/* SPDX-License-Identifier: Apache-2.0 */
/* What a client tells of its state: each change once, in order, CLOSED last, and nothing after it was freed.
 */
#include "support/fake_client.h"
#include "support/matrix.h"

#include <pthread.h>
#include <stdio.h>

enum { CHANGES_MAX = 64 };

struct world {
    struct fake_etcd *fake;
    etcd_loop *loop; /* NULL: the client's own */
    etcd_client *client;
    etcd_error err;
    size_t count;
    etcd_client_state seen[CHANGES_MAX];
    char causes[CHANGES_MAX][ETCD_ERROR_MESSAGE_SIZE]; /* "": no error */
    bool close_inside;                                 /* when READY is told */
    bool freed;
    size_t late;
};

static void on_state(etcd_client *client, etcd_client_state state, const etcd_error *err, void *user_data)
{
    struct world *world = user_data;
    size_t index = __atomic_load_n(&world->count, __ATOMIC_ACQUIRE);

    if (__atomic_load_n(&world->freed, __ATOMIC_ACQUIRE))
        world->late++;
    assert_true(index < CHANGES_MAX);
    world->seen[index] = state;
    (void)snprintf(world->causes[index], sizeof(world->causes[index]), "%s", err == NULL ? "" : err->message);
    if (state == ETCD_CLIENT_CLOSED)
        assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_CLOSED);
    if (state == ETCD_CLIENT_READY && world->close_inside)
        (void)etcd_client_close(client, NULL);
    (void)__atomic_add_fetch(&world->count, 1, __ATOMIC_RELEASE);
}

static void open_world(struct world *world, const etcd_loop_opts *loop_opts)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;

    memset(world, 0, sizeof(*world));
    world->fake = fake_etcd_start();
    if (loop_opts != NULL)
        assert_status(etcd_loop_new(loop_opts, &world->loop, &world->err), ETCD_OK, &world->err);
    opts.loop = world->loop;
    opts.on_state = on_state;
    opts.state_user_data = world;
    world->client = test_client_open(fake_etcd_endpoint(world->fake), &opts);
}

static void free_client(struct world *world)
{
    etcd_client_free(world->client);
    __atomic_store_n(&world->freed, true, __ATOMIC_RELEASE);
}

static void close_world(struct world *world)
{
    etcd_loop_free(world->loop);
    fake_etcd_free(world->fake);
    assert_int_equal(world->late, 0);
}

static void assert_seen(const struct world *world, const etcd_client_state *wanted, size_t count)
{
    assert_int_equal(world->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(world->seen[i], wanted[i]);
}
#define ASSERT_SEEN(world, ...)                                    \
    assert_seen((world), (const etcd_client_state[]){__VA_ARGS__}, \
                sizeof((const etcd_client_state[]){__VA_ARGS__}) / sizeof(etcd_client_state))

static void await_state(struct world *world, etcd_client_state state)
{
    int64_t until_ms = test_deadline_ms(20000);

    while (etcd_client_state_now(world->client) != state) {
        assert_true(test_now_ms() < until_ms);
        test_pump(world->client, 5);
    }
}

/* ---- the changes ----------------------------------------------------------------------------------- */

static void test_a_life(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL);
    assert_int_equal(etcd_client_state_now(world.client), ETCD_CLIENT_IDLE);
    test_pump(world.client, 50);
    assert_int_equal(world.count, 0);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    assert_int_equal(etcd_client_state_now(world.client), ETCD_CLIENT_READY);
    fake_etcd_listen(world.fake, false);
    fake_etcd_cut(world.fake);
    await_state(&world, ETCD_CLIENT_CONNECTING);
    fake_await_count(world.client, &world.count, 3);
    test_pump(world.client, 300); /* attempts that fail are no change */
    fake_etcd_listen(world.fake, true);
    await_state(&world, ETCD_CLIENT_READY);
    fake_await_count(world.client, &world.count, 4);
    assert_status(etcd_client_close(world.client, &world.err), ETCD_OK, &world.err);
    assert_int_equal(etcd_client_state_now(world.client), ETCD_CLIENT_CLOSED);
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY,
                ETCD_CLIENT_CLOSED);
    assert_string_equal(world.causes[0], "");
    assert_string_equal(world.causes[1], "");
    assert_has_text(world.causes[2], fake_etcd_endpoint(world.fake));
    assert_string_equal(world.causes[3], "");
    assert_string_equal(world.causes[4], "");
    assert_status(etcd_client_close(world.client, &world.err), ETCD_OK, &world.err);
    free_client(&world);
    assert_int_equal(world.count, 5);
    close_world(&world);
}

/* ---- what is wrong --------------------------------------------------------------------------------- */

static void test_trouble_with_the_connection(void **state)
{
    struct world world;
    etcd_error err = {.status = ETCD_OK};

    (void)state;
    open_world(&world, NULL);
    assert_status(etcd_client_trouble(world.client, &err), ETCD_OK, &err); /* nobody has asked for one */
    fake_etcd_listen(world.fake, false);
    assert_int_equal(fake_put(world.client, 100, &err), ETCD_E_UNAVAILABLE);
    assert_int_equal(etcd_client_trouble(world.client, &err), ETCD_E_UNAVAILABLE);
    assert_has_text(err.message, "client 'etcd': not connected: ");
    assert_has_text(err.message, fake_etcd_endpoint(world.fake));
    assert_true((err.flags & ETCD_ERROR_RETRYABLE) != 0);
    assert_int_equal(etcd_client_trouble(world.client, NULL), ETCD_E_UNAVAILABLE);
    fake_etcd_listen(world.fake, true);
    await_state(&world, ETCD_CLIENT_READY);
    assert_status(etcd_client_trouble(world.client, &err), ETCD_OK, &err);
    assert_status(etcd_client_close(world.client, &err), ETCD_OK, &err);
    assert_int_equal(etcd_client_trouble(world.client, &err), ETCD_E_CLOSED);
    assert_int_equal(etcd_client_trouble(NULL, &err), ETCD_E_INVALID_ARGUMENT);
    free_client(&world);
    close_world(&world);
}

static void test_trouble_with_the_login(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    etcd_error err = {.status = ETCD_OK};

    (void)state;
    fake_etcd_set_auth(fake, "ann", "right");
    client =
        test_client_open(fake_etcd_endpoint(fake),
                         ETCD_CLIENT_OPTS(.username = "ann", .password = ETCD_SECRET_TEXT("wr0ng-c4n4ry")));
    assert_int_equal(fake_put(client, 5000, &err), ETCD_E_AUTH);
    assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_READY);
    assert_int_equal(etcd_client_trouble(client, &err), ETCD_E_AUTH);
    assert_has_text(err.message, "client 'etcd'");
    assert_has_text(err.message, "user 'ann'");
    assert_lacks_text(err.message, "c4n4ry");
    fake_etcd_set_auth(fake, "ann", "wr0ng-c4n4ry"); /* it is the right one now */
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_status(etcd_client_trouble(client, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_a_polite_goodbye_is_a_loss(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL);
    fake_etcd_next(world.fake, "Put", &(struct fake_step){.what = STEP_DO_AND_GOAWAY});
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    fake_await_count(world.client, &world.count, 4);
    assert_has_text(world.causes[2], "takes no new calls");
    free_client(&world);
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY,
                ETCD_CLIENT_CLOSED);
    close_world(&world);
}

static void test_never_used(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL);
    free_client(&world);
    ASSERT_SEEN(&world, ETCD_CLIENT_CLOSED);
    close_world(&world);
}

static void test_a_new_list(void **state)
{
    struct world world;
    struct fake_etcd *other = fake_etcd_start();

    (void)state;
    open_world(&world, NULL);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_client_set_endpoints(world.client, ETCD_LIST(fake_etcd_endpoint(other)), &world.err),
                  ETCD_OK, &world.err);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    fake_await_count(world.client, &world.count, 4);
    assert_has_text(world.causes[2], "not in the new list");
    free_client(&world);
    assert_int_equal(world.count, 5);
    fake_etcd_free(other);
    close_world(&world);
}

/* Of two endpoints one may come and go: the client can make calls all the time. */
static void test_one_of_two(void **state)
{
    struct world world;
    struct fake_etcd *other = fake_etcd_start();

    (void)state;
    open_world(&world, NULL);
    assert_status(
        etcd_client_set_endpoints(
            world.client, ETCD_LIST(fake_etcd_endpoint(world.fake), fake_etcd_endpoint(other)), &world.err),
        ETCD_OK, &world.err);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    for (int i = 0;
         i < 1000 && (fake_etcd_open_connections(other) == 0 || fake_etcd_open_connections(world.fake) == 0);
         i++)
        test_pump(world.client, 10);
    for (int i = 0; i < 3; i++) {
        fake_etcd_cut(other);
        test_pump(world.client, 100);
        assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    }
    free_client(&world);
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CLOSED);
    fake_etcd_free(other);
    close_world(&world);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void test_closed_inside(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL);
    world.close_inside = true;
    assert_status(etcd_client_wait_ready_async(world.client, 5000, NULL, NULL, NULL, &world.err), ETCD_OK,
                  &world.err);
    fake_await_count(world.client, &world.count, 3);
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CLOSED);
    free_client(&world);
    assert_int_equal(world.count, 3);
    close_world(&world);
}

static void close_in_callback(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    (void)op;
    (void)etcd_client_close(world->client, NULL);
    (void)__atomic_add_fetch(&world->late, 1000, __ATOMIC_RELEASE); /* closed, and told so */
}

static void test_closed_in_another_callback(void **state)
{
    struct world world;
    int64_t until_ms;

    (void)state;
    open_world(&world, NULL);
    assert_status(
        etcd_get_async(world.client, etcd_cstr("k"), NULL, close_in_callback, &world, NULL, &world.err),
        ETCD_OK, &world.err);
    until_ms = test_deadline_ms(20000);
    while (__atomic_load_n(&world.late, __ATOMIC_ACQUIRE) < 1000) {
        assert_true(test_now_ms() < until_ms);
        test_pump(world.client, 5);
    }
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CLOSED);
    world.late -= 1000;
    free_client(&world);
    close_world(&world);
}

static void test_deferred(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, ETCD_LOOP_OPTS(.dispatch = ETCD_DISPATCH_PROCESS));
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    fake_etcd_listen(world.fake, false);
    fake_etcd_cut(world.fake);
    await_state(&world, ETCD_CLIENT_CONNECTING);
    fake_etcd_listen(world.fake, true);
    await_state(&world, ETCD_CLIENT_READY);
    assert_int_equal(world.count, 0);
    assert_status(etcd_loop_process(world.loop, &world.err), ETCD_OK, &world.err);
    ASSERT_SEEN(&world, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY, ETCD_CLIENT_CONNECTING, ETCD_CLIENT_READY);
    assert_true(world.causes[2][0] != '\0');
    free_client(&world); /* delivers what is left */
    assert_int_equal(world.count, 5);
    assert_int_equal(world.seen[4], ETCD_CLIENT_CLOSED);
    assert_status(etcd_loop_process(world.loop, &world.err), ETCD_OK, &world.err);
    assert_int_equal(world.count, 5);
    close_world(&world);
}

static void *call_until_closed(void *arg)
{
    while (fake_get(arg, 60000, NULL) == ETCD_OK)
        continue;
    return NULL;
}

static void *close_it(void *arg)
{
    (void)etcd_client_close(arg, NULL);
    return NULL;
}

/* Whoever closes, and while connections come and go: when it is freed all has been told. */
static void test_closed_by_several_threads(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct world world;
        pthread_t caller, closers[2];

        open_world(&world, NULL);
        assert_int_equal(pthread_create(&caller, NULL, call_until_closed, world.client), 0);
        test_pump(world.client, round % 5);
        fake_etcd_cut(world.fake);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&closers[i], NULL, close_it, world.client), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(closers[i], NULL), 0);
        assert_int_equal(pthread_join(caller, NULL), 0);
        free_client(&world);
        assert_true(world.count >= 1);
        for (size_t i = 0; i < world.count; i++) {
            assert_int_equal(world.seen[i] == ETCD_CLIENT_CLOSED, i == world.count - 1);
            if (i > 0)
                assert_int_not_equal(world.seen[i], world.seen[i - 1]);
        }
        close_world(&world);
    }
}

static void test_nobody_listens(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_client_state_now(NULL), ETCD_CLIENT_CLOSED);
    assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_IDLE);
    assert_status(etcd_client_wait_ready(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_READY);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_CLOSED);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static const char *const need_threads[] = {"test_deferred", "test_closed_by_several_threads", NULL};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_trouble_with_the_connection),
        cmocka_unit_test(test_trouble_with_the_login),
        cmocka_unit_test(test_a_polite_goodbye_is_a_loss),
        cmocka_unit_test(test_never_used),
        cmocka_unit_test(test_a_new_list),
        cmocka_unit_test(test_one_of_two),
        cmocka_unit_test(test_closed_inside),
        cmocka_unit_test(test_closed_in_another_callback),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_closed_by_several_threads),
        cmocka_unit_test(test_nobody_listens),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
