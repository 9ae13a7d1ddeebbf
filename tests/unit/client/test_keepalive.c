/* SPDX-License-Identifier: Apache-2.0 */
/* Keep-alives against scripted lease servers, on a virtual clock. */
#include "client/keepalive.h"

#include "client/client.h"
#include "client/keepalive_stream.h"
#include "etcdc/lease.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"
#include "wire/messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_TTL_S = 12, PERMISSION_DENIED = 7, UNAVAILABLE = 14, UNAUTHENTICATED = 16 };

struct ends {
    int count;
    etcd_status status;
    char message[ETCD_ERROR_MESSAGE_SIZE];
    bool close; /* from inside */
};

/* Servers that renew every lease; `on_renewal` may do otherwise, and then returns false. */
static struct script {
    struct world world;
    struct etcd_loop *loop;
    etcd_client *client;
    bool (*on_renewal)(struct h2_server_stream *stream, int64_t id);
    int64_t ttl_s;
    int64_t special;     /* a lease of which on_renewal knows */
    const char *refusal; /* of streams, as they are opened; NULL: none */
    int refusal_code;
    const char *login; /* the message that refuses logins; NULL: they are granted */
    unsigned renewals, opened, logins;
    int stage;
    struct world_host *last_host; /* that was sent a renewal */
    size_t live;                  /* allocations that an earlier test, which failed, left behind */
} script;

/* ---- servers ------------------------------------------------------------------------------------------ */

static void answer(struct h2_server_stream *stream, int64_t id, int64_t ttl_s)
{
    Etcd__Pb__LeaseKeepAliveResponse response = ETCD__PB__LEASE_KEEP_ALIVE_RESPONSE__INIT;
    uint8_t buf[64];

    response.id = id;
    response.ttl = ttl_s;
    h2_reply_message(stream, buf, protobuf_c_message_pack(&response.base, buf));
}

static bool is_login(struct h2_server_stream *stream)
{
    return strcmp(h2_server_field(stream, ":path"), "/etcdserverpb.Auth/Authenticate") == 0;
}

static void on_request(struct h2_server_stream *stream)
{
    if (is_login(stream))
        return;
    assert_string_equal(h2_server_field(stream, ":path"), "/etcdserverpb.Lease/LeaseKeepAlive");
    assert_string_equal(h2_server_field(stream, "hasleader"), "true");
    script.opened++;
    if (script.refusal != NULL)
        h2_reply_status(stream, script.refusal_code, script.refusal);
}

static void on_login(struct h2_server_stream *stream)
{
    Etcd__Pb__AuthenticateResponse response = ETCD__PB__AUTHENTICATE_RESPONSE__INIT;
    char token[32];
    uint8_t buf[64];

    script.logins++;
    if (script.login != NULL) {
        h2_reply_status(stream, 3, script.login);
        return;
    }
    (void)snprintf(token, sizeof(token), "token-%u", script.logins);
    response.token = token;
    h2_reply_message(stream, buf, protobuf_c_message_pack(&response.base, buf));
    h2_reply_status(stream, 0, NULL);
}

static void on_message(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    Etcd__Pb__LeaseKeepAliveRequest *request;

    if (is_login(stream)) {
        on_login(stream);
        return;
    }
    request = etcd__pb__lease_keep_alive_request__unpack(NULL, len, data);
    assert_non_null(request);
    script.renewals++;
    if (script.on_renewal == NULL || script.on_renewal(stream, request->id))
        answer(stream, request->id, script.ttl_s);
    etcd__pb__lease_keep_alive_request__free_unpacked(request, NULL);
}

/* ---- the world ---------------------------------------------------------------------------------------- */

static void open_client(const etcd_client_opts *opts)
{
    etcd_client_opts own = *opts;
    etcd_error err;

    own.loop = script.loop;
    if (etcd_client_open(&own, &script.client, &err) != ETCD_OK)
        fail_msg("%s", err.message);
}

static void begin(size_t hosts)
{
    memset(&script, 0, sizeof(script));
    alloc_fail_at(0);
    script.live = alloc_live();
    world_init(&script.world, hosts);
    script.ttl_s = DEFAULT_TTL_S;
    for (size_t i = 0; i < hosts; i++)
        script.world.hosts[i].ops = (struct h2_server_ops){.on_request = on_request,
                                                           .on_message = on_message};
    assert_int_equal(etcd__loop_new_env(fake_env_table(script.world.fake), &script.loop, NULL), ETCD_OK);
}

static int one_host(void **state)
{
    (void)state;
    begin(1);
    open_client(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379")));
    return 0;
}

static int three_hosts(void **state)
{
    (void)state;
    begin(3);
    open_client(
        ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379", "192.0.2.2:2379", "192.0.2.3:2379")));
    return 0;
}

static int with_user(void **state)
{
    (void)state;
    begin(1);
    open_client(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .username = "alice",
                                 .password = ETCD_SECRET_TEXT("secret")));
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_client_free(script.client);
    etcd_loop_free(script.loop);
    world_close(&script.world);
    assert_int_equal(alloc_live(), script.live);
    return 0;
}

static void run(int64_t ms)
{
    int64_t until_ms = fake_now(script.world.fake) + ms;

    do
        assert_int_equal(etcd_loop_wait(script.loop, until_ms - fake_now(script.world.fake), NULL), ETCD_OK);
    while (fake_now(script.world.fake) < until_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(etcd_loop_process(script.loop, NULL), ETCD_OK);
}

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct ends *ends = user_data;

    ends->count++;
    ends->status = status;
    assert_int_equal(err->status, status);
    (void)snprintf(ends->message, sizeof(ends->message), "%s", err->message);
    if (ends->close)
        etcd_keepalive_close(keepalive);
}

static etcd_keepalive *keep(int64_t id, int64_t ttl_s, struct ends *ends)
{
    etcd_keepalive *keepalive = NULL;

    assert_int_equal(etcd_keepalive_start(script.client, (etcd_lease){.id = id, .ttl_s = ttl_s},
                                          ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = ends),
                                          &keepalive, NULL),
                     ETCD_OK);
    return keepalive;
}

static size_t client_streams(void)
{
    size_t count = 0;

    ETCD__LIST_FOREACH(node, &script.client->lessor.streams)
    count++;
    return count;
}

static void answer_all_with(int64_t ttl_s)
{
    script.ttl_s = ttl_s;
}

/* ---- the clock ---------------------------------------------------------------------------------------- */

static void expiry_is_counted_from_sending(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive;

    (void)state;
    script.world.hosts[0].net->delay_ms = 300;
    keepalive = keep(1, 5, &ends);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 5000);
    while (script.renewals == 0)
        run(10);
    run(299); /* the answer is on its way */
    assert_true(etcd_keepalive_remaining_ms(keepalive) < 5000);
    run(20);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), DEFAULT_TTL_S * 1000 - 640,
                    DEFAULT_TTL_S * 1000 - 600);
    etcd_keepalive_close(keepalive);
    assert_int_equal(ends.count, 0);
}

static void renewed_three_times_a_ttl(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, DEFAULT_TTL_S, &ends);

    (void)state;
    for (int i = 0; i < 60; i++) {
        run(1000);
        assert_true(etcd_keepalive_remaining_ms(keepalive) >= DEFAULT_TTL_S * 1000 * 2 / 3 - 10);
    }
    assert_in_range(script.renewals, 15, 17);
    assert_int_equal(script.opened, 1);
    etcd_keepalive_close(keepalive);
    run(10);
    assert_int_equal(world_streams(&script.world.hosts[0]), 0);
}

static void the_newest_ttl_counts(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, 2, &ends);

    (void)state;
    answer_all_with(300);
    run(1000);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 298000, 300000);
    run(90000);
    assert_int_equal(script.renewals, 1);
    run(10000);
    assert_int_equal(script.renewals, 2);
    etcd_keepalive_close(keepalive);
}

static void enormous_ttls_do_not_overflow(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, ETCD_LEASE_TTL_MAX, &ends);

    (void)state;
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), ETCD_LEASE_TTL_MAX * 1000);
    answer_all_with(INT64_MAX);
    run(1000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > ETCD_LEASE_TTL_MAX * 1000 - 2000);
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

static void a_suspended_machine_has_lost_the_lease(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, DEFAULT_TTL_S, &ends);

    (void)state;
    run(1000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
    fake_pass(script.world.fake, 20000);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    run(0);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    run(60000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    etcd_keepalive_close(keepalive);
}

static void a_start_after_a_long_idle_time_counts_from_now(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = keep(1, 600, &ends[0]);
    etcd_keepalive *second;

    (void)state;
    answer_all_with(600);
    run(100);
    fake_pass(script.world.fake, 100000); /* nobody looked at the clock since */
    answer_all_with(3);
    second = keep(2, 3, &ends[1]);
    run(500);
    assert_int_equal(ends[1].count, 0);
    assert_in_range(etcd_keepalive_remaining_ms(second), 2000, 3000);
    etcd_keepalive_close(first);
    etcd_keepalive_close(second);
}

/* ---- loss --------------------------------------------------------------------------------------------- */

static void an_answer_without_ttl_is_the_end(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(0x1f, DEFAULT_TTL_S, &ends);

    (void)state;
    run(1000);
    answer_all_with(0);
    run(60000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "000000000000001f"));
    assert_int_equal(script.renewals, 2);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    assert_int_equal(client_streams(), 0);
    etcd_keepalive_close(keepalive);
}

static void silence_is_the_end_when_the_time_is_over(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, DEFAULT_TTL_S, &ends);
    int64_t left_ms;

    (void)state;
    run(1000);
    script.world.hosts[0].silent = true;
    left_ms = etcd_keepalive_remaining_ms(keepalive);
    run(left_ms - 1);
    assert_int_equal(ends.count, 0);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 1);
    run(1);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "no answer in time"));
    script.world.hosts[0].silent = false;
    run(30000);
    assert_int_equal(ends.count, 1);
    etcd_keepalive_close(keepalive);
}

static void nobody_there_is_the_end_too(void **state)
{
    struct ends ends = {.close = true};

    (void)state;
    script.world.hosts[0].net->answer = FAKE_REFUSE;
    (void)keep(1, 5, &ends);
    run(4999);
    assert_int_equal(ends.count, 0);
    run(1);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
}

static void closing_the_client_is_told_once(void **state)
{
    struct ends ends[3] = {{0}, {.close = true}, {0}};
    etcd_keepalive *first = keep(1, 10, &ends[0]);
    etcd_keepalive *third;

    (void)state;
    (void)keep(2, 10, &ends[1]);
    run(100);
    third = keep(3, 10, &ends[2]); /* the engine does not know of it yet */
    assert_int_equal(etcd_client_close(script.client, NULL), ETCD_OK);
    run(1000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ends[i].count, 1);
        assert_int_equal(ends[i].status, ETCD_E_CLOSED);
    }
    assert_int_equal(etcd_keepalive_remaining_ms(first), 0);
    etcd_keepalive_close(first);
    etcd_keepalive_close(third);
}

static void closing_a_keepalive_is_quiet(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = keep(1, 10, &ends[0]);
    etcd_keepalive *second = keep(1, 10, &ends[1]);

    (void)state;
    etcd_keepalive_close(first); /* before the engine knew of it */
    run(30000);
    assert_true(etcd_keepalive_remaining_ms(second) > 0);
    assert_int_equal(ends[0].count + ends[1].count, 0);
    etcd_keepalive_close(second);
    run(1000);
    assert_int_equal(ends[0].count + ends[1].count, 0);
    assert_int_equal(etcd__reactor_next_ms(&script.loop->reactor) < INT64_MAX &&
                         etcd__timer_armed(&script.client->lessor.timer),
                     0);
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static void few_leases_share_a_stream_many_share_four(void **state)
{
    enum { COUNT = 100 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    for (int64_t i = 0; i < 10; i++)
        keepalives[i] = keep(i + 1, DEFAULT_TTL_S, &ends[i]);
    run(100);
    assert_int_equal(client_streams(), 1);
    for (int64_t i = 10; i < COUNT; i++)
        keepalives[i] = keep(i + 1, DEFAULT_TTL_S, &ends[i]);
    run(60000);
    assert_int_equal(client_streams(), 4);
    assert_int_equal(script.opened, 4);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > DEFAULT_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_int_equal(client_streams(), 0);
}

static bool note_host(struct h2_server_stream *stream, int64_t id)
{
    (void)id;
    script.last_host = ((struct world_connection *)h2_server_user(stream->server))->host;
    return true;
}

static void wake_host(struct world_host *host)
{
    if (host == NULL)
        return;
    host->silent = false;
    for (size_t i = 0; i < host->count; i++)
        host->net->on_data(host->connections[i].peer); /* what came meanwhile */
}

/* Whoever has the stream stops, and the one that was stopped before goes on. */
static void a_silent_server_is_left_in_time(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, 6, &ends);
    struct world_host *silent = NULL;

    (void)state;
    script.on_renewal = note_host;
    answer_all_with(6);
    for (int i = 0; i < 10; i++) {
        run(500);
        wake_host(silent);
        silent = script.last_host;
        silent->silent = true;
        for (int j = 0; j < 100; j++) {
            run(100);
            assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
        }
        assert_ptr_not_equal(script.last_host, silent);
    }
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

static bool slowly(struct h2_server_stream *stream, int64_t id)
{
    (void)stream;
    (void)id;
    return false;
}

static void a_server_that_does_not_answer_is_not_flooded(void **state)
{
    enum { COUNT = 20 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.on_renewal = slowly;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(i + 1, 60, &ends[i]);
    run(55000);
    /* 1, 2, 3 ... seconds between them. */
    assert_in_range(script.opened, 5, 12);
    assert_in_range(script.renewals, 5 * COUNT, 12 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, 0);
        etcd_keepalive_close(keepalives[i]);
    }
}

/* Answers one lease in 50 ms, one after the other. */
static void answer_next(void *user)
{
    struct h2_server_stream *stream = user;

    answer(stream, ++script.special, script.ttl_s);
    world_push(h2_server_user(stream->server));
    if (script.special < 100)
        fake_at(script.world.fake, fake_now(script.world.fake) + 50, answer_next, stream);
}

static bool one_by_one(struct h2_server_stream *stream, int64_t id)
{
    if (id == 1)
        fake_at(script.world.fake, fake_now(script.world.fake) + 50, answer_next, stream);
    return false;
}

static void a_server_that_takes_its_time_is_not_left(void **state)
{
    enum { COUNT = 100 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];
    int64_t i;

    (void)state;
    for (i = 0; i < ETCD__LEASE_STREAM_CROWDED; i++)
        keepalives[i] = keep(i + 1, 60, &ends[i]);
    answer_all_with(600);
    script.on_renewal = one_by_one;
    run(3000); /* 25 leases take longer than the limit of one */
    assert_int_equal(script.opened, 1);
    assert_int_equal(script.renewals, ETCD__LEASE_STREAM_CROWDED);
    for (i = 0; i < ETCD__LEASE_STREAM_CROWDED; i++)
        etcd_keepalive_close(keepalives[i]);
    script.special = COUNT;
}

static void a_server_that_ends_streams_is_not_asked_all_the_time(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, 60, &ends);

    (void)state;
    script.refusal = "etcdserver: no leader";
    script.refusal_code = UNAVAILABLE;
    run(20000);
    assert_in_range(script.opened, 15, 40);
    assert_int_equal(ends.count, 0);
    script.refusal = NULL;
    run(2000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 9000);
    etcd_keepalive_close(keepalive);
}

static bool nonsense(struct h2_server_stream *stream, int64_t id)
{
    if (script.stage++ == 0) {
        h2_reply_message(stream, "\xff\xff\xff", 3);
        return false;
    }
    answer(stream, id + 1000, 5); /* of nobody */
    answer(stream, id, script.ttl_s);
    answer(stream, id, 1); /* to nothing */
    return false;
}

static void nonsense_is_not_believed(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, 60, &ends);

    (void)state;
    script.on_renewal = nonsense;
    run(2000);
    assert_int_equal(script.opened, 2);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 9000, 12000);
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

/* The answer to a renewal of the keep-alive before must not count for the one after. */
static bool late_for_special(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special || script.stage++ != 0)
        return true;
    answer(stream, id, 0); /* as it was then */
    return false;
}

static void an_answer_to_those_who_left_says_nothing(void **state)
{
    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *other = keep(1, 60, &ends[0]);
    etcd_keepalive *first, *second;

    (void)state;
    run(1000);
    script.world.hosts[0].net->delay_ms = 100;
    script.special = 2;
    script.on_renewal = late_for_special;
    first = keep(2, 60, &ends[1]);
    run(50);
    etcd_keepalive_close(first);
    second = keep(2, 60, &ends[2]);
    run(150);
    assert_int_equal(ends[2].count, 0);
    assert_in_range(etcd_keepalive_remaining_ms(second), 59800, 60000);
    run(250);
    assert_int_equal(script.opened, 1);
    assert_in_range(etcd_keepalive_remaining_ms(second), 11700, 11800);
    etcd_keepalive_close(other);
    etcd_keepalive_close(second);
    assert_int_equal(ends[2].count, 0);
}

/* ---- refused leases ----------------------------------------------------------------------------------- */

static bool refuse_special(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special)
        return true;
    h2_reply_status(stream, PERMISSION_DENIED, "etcdserver: permission denied");
    return false;
}

static void one_refused_lease_ends_alone(void **state)
{
    enum { COUNT = 10 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.special = 5;
    script.on_renewal = refuse_special;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(i + 1, DEFAULT_TTL_S, &ends[i]);
    run(60000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, i == 4);
        if (i == 4)
            assert_int_equal(ends[i].status, ETCD_E_DENIED);
        else
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > DEFAULT_TTL_S * 1000 / 2);
    }
    assert_int_equal(script.opened, 3);
    assert_int_equal(client_streams(), 1);
    for (size_t i = 0; i < COUNT; i++)
        etcd_keepalive_close(keepalives[i]);
}

static bool refuse_odd(struct h2_server_stream *stream, int64_t id)
{
    if (id % 2 == 0)
        return true;
    h2_reply_status(stream, PERMISSION_DENIED, "etcdserver: permission denied");
    return false;
}

static void many_refused_leases_cost_in_proportion(void **state)
{
    enum { COUNT = 400 };
    static struct ends ends[COUNT];
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    memset(ends, 0, sizeof(ends));
    script.on_renewal = refuse_odd;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(i + 1, 60, &ends[i]);
    answer_all_with(600);
    run(20000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, i % 2 == 0);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_true(script.renewals <= 8 * COUNT);
}

static bool refuse_special_once(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special || script.stage++ > 0)
        return true;
    h2_reply_status(stream, 5, "etcdserver: requested lease not found");
    return false;
}

static void a_lease_that_was_suspected_wrongly_goes_on(void **state)
{
    enum { COUNT = 5 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.special = 2;
    script.on_renewal = refuse_special_once;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = keep(i + 1, DEFAULT_TTL_S, &ends[i]);
    run(30000);
    assert_int_equal(client_streams(), 1);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, 0);
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > DEFAULT_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
}

static void a_single_lease_that_is_not_found_is_lost(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(7, DEFAULT_TTL_S, &ends);

    (void)state;
    script.refusal = NULL;
    script.special = 7;
    script.on_renewal = refuse_special_once;
    run(100);
    assert_int_equal(ends.count, 0); /* once is not enough */
    script.on_renewal = refuse_special;
    run(10000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_DENIED);
    etcd_keepalive_close(keepalive);
}

/* ---- login -------------------------------------------------------------------------------------------- */

static bool refuse_old_tokens(struct h2_server_stream *stream, int64_t id)
{
    char wanted[32];

    (void)id;
    (void)snprintf(wanted, sizeof(wanted), "token-%d", script.stage);
    if (strcmp(h2_server_field(stream, "token"), wanted) == 0)
        return true;
    h2_reply_status(stream, UNAUTHENTICATED, "etcdserver: invalid auth token");
    return false;
}

static void a_rejected_token_costs_one_login(void **state)
{
    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *keepalives[3];

    (void)state;
    script.stage = 1;
    script.on_renewal = refuse_old_tokens;
    for (int64_t i = 0; i < 3; i++)
        keepalives[i] = keep(i + 1, DEFAULT_TTL_S, &ends[i]);
    run(1000);
    assert_int_equal(script.logins, 1);
    script.stage = 2;
    run(30000);
    assert_int_equal(script.logins, 2);
    assert_int_equal(script.opened, 2);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ends[i].count, 0);
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > DEFAULT_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
}

static void a_token_that_is_never_accepted_makes_no_hot_loop(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = keep(1, 30, &ends);

    (void)state;
    script.stage = 1000;
    script.on_renewal = refuse_old_tokens;
    run(29000);
    assert_int_equal(ends.count, 0);
    assert_in_range(script.logins, 10, 60);
    run(1000);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "invalid auth token"));
    etcd_keepalive_close(keepalive);
}

static void a_refused_login_is_the_end(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive;

    (void)state;
    script.login = "etcdserver: authentication failed, invalid user ID or password";
    keepalive = keep(1, 30, &ends);
    run(2000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_AUTH);
    assert_int_equal(script.logins, 1);
    etcd_keepalive_close(keepalive);
}

static void credentials_that_are_missing_are_the_end(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = keep(1, 30, &ends[0]);
    etcd_keepalive *second = keep(2, 30, &ends[1]);

    (void)state;
    script.refusal = "etcdserver: user name is empty";
    script.refusal_code = 3;
    run(2000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ends[i].count, 1);
        assert_int_equal(ends[i].status, ETCD_E_AUTH);
    }
    etcd_keepalive_close(first);
    etcd_keepalive_close(second);
}

/* ---- memory ------------------------------------------------------------------------------------------- */

/* Three leases, one of them refused. Whatever fails, each ends or lives. Returns how many allocations there were. */
static size_t play_without_memory(size_t fail_at)
{
    size_t used;

    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *keepalives[3] = {NULL, NULL, NULL};
    etcd_status statuses[3];

    script.special = 2;
    script.on_renewal = refuse_special;
    alloc_fail_at(fail_at);
    for (int64_t i = 0; i < 3; i++)
        statuses[i] = etcd_keepalive_start(script.client, (etcd_lease){.id = i + 1, .ttl_s = 12},
                                           ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = &ends[i]),
                                           &keepalives[i], NULL);
    run(5000);
    used = alloc_count();
    alloc_fail_at(0);
    run(10000);
    for (size_t i = 0; i < 3; i++) {
        assert_true(ends[i].count <= 1);
        assert_true(statuses[i] == ETCD_OK || statuses[i] == ETCD_E_NO_MEMORY);
        assert_int_equal(keepalives[i] != NULL, statuses[i] == ETCD_OK);
        if (keepalives[i] != NULL && ends[i].count == 0)
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > 0);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_int_equal(client_streams(), 0);
    return used;
}

static void every_allocation_may_fail(void **state)
{
    size_t used = 1;

    (void)state;
    for (size_t fail_at = 0; fail_at <= used; fail_at++) {
        size_t count;

        (void)one_host(NULL);
        count = play_without_memory(fail_at);
        if (fail_at == 0)
            used = count;
        (void)end(NULL);
    }
    assert_true(used > 10);
}

int main(void)
{
#define ON_ONE(test) cmocka_unit_test_setup_teardown(test, one_host, end)
#define ON_THREE(test) cmocka_unit_test_setup_teardown(test, three_hosts, end)
#define AS_USER(test) cmocka_unit_test_setup_teardown(test, with_user, end)
    const struct CMUnitTest tests[] = {
        ON_ONE(expiry_is_counted_from_sending),
        ON_ONE(renewed_three_times_a_ttl),
        ON_ONE(the_newest_ttl_counts),
        ON_ONE(enormous_ttls_do_not_overflow),
        ON_ONE(a_suspended_machine_has_lost_the_lease),
        ON_ONE(a_start_after_a_long_idle_time_counts_from_now),
        ON_ONE(an_answer_without_ttl_is_the_end),
        ON_ONE(silence_is_the_end_when_the_time_is_over),
        ON_ONE(nobody_there_is_the_end_too),
        ON_ONE(closing_the_client_is_told_once),
        ON_ONE(closing_a_keepalive_is_quiet),
        ON_ONE(few_leases_share_a_stream_many_share_four),
        ON_THREE(a_silent_server_is_left_in_time),
        ON_ONE(a_server_that_does_not_answer_is_not_flooded),
        ON_ONE(a_server_that_takes_its_time_is_not_left),
        ON_ONE(a_server_that_ends_streams_is_not_asked_all_the_time),
        ON_ONE(nonsense_is_not_believed),
        ON_ONE(an_answer_to_those_who_left_says_nothing),
        ON_ONE(one_refused_lease_ends_alone),
        ON_ONE(many_refused_leases_cost_in_proportion),
        ON_ONE(a_lease_that_was_suspected_wrongly_goes_on),
        ON_ONE(a_single_lease_that_is_not_found_is_lost),
        AS_USER(a_rejected_token_costs_one_login),
        AS_USER(a_token_that_is_never_accepted_makes_no_hot_loop),
        AS_USER(a_refused_login_is_the_end),
        ON_ONE(credentials_that_are_missing_are_the_end),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
