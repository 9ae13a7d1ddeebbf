/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_world.h"

/* Connections with TLS, and all that has to hold in every state: closing, lack of memory. */

/* ---- closing from wherever one can ---- */

static void close_now(struct world *world)
{
    struct etcd__conn *conn = world->conn;

    world->conn = NULL;
    etcd__conn_close(conn);
}

static void closing_inside_a_callback(struct world *world, void (**where)(struct world *))
{
    size_t calls;

    *where = close_now;
    open_conn(world, "https://localhost");
    run(world);
    assert_null(world->conn);
    calls = world->opened + world->received + world->drained + world->closed;
    fake_pass(world->fake, 1000);
    run(world);
    assert_int_equal(world->opened + world->received + world->drained + world->closed, calls);
}

static void may_be_closed_in_on_open(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1");
    closing_inside_a_callback(world, &world->on_open);
    assert_int_equal(world->closed, 0);
}

static void may_be_closed_in_on_open_with_tls(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    world->reply = 100000;
    may_be_closed_in_on_open(state);
    assert_int_equal(world->received, 0);
}

static void may_be_closed_in_on_data(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    world->reply = 100000;
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1");
    closing_inside_a_callback(world, &world->on_data);
    assert_true(world->received > 0 && world->received < 100000);
    assert_int_equal(world->closed, 0);
}

static void may_be_closed_in_on_closed(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    closing_inside_a_callback(world, &world->on_closed);
    assert_int_equal(world->closed, 1);
}

/* Closes after each possible number of turns: in every state. */
static void may_be_closed_between_any_turns(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    fake_name_add(world->fake, "localhost", "192.0.2.1");
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    fake_name_script(world->fake, "localhost", 10, NULL);
    add_host(world, "192.0.2.1")->answer = FAKE_BLACK_HOLE;
    add_host(world, "127.0.0.1")->delay_ms = 5;
    for (int turns = 0; world->opened == 0; turns++) {
        struct tls_peer_options server = {dir, CERTS_SERVER, CERTS_SERVER_KEY, NULL, "h2", 0};

        tls_peer_free(world->tls_peer);
        world->tls_peer = tls_peer_new(&server);
        open_conn(world, "https://localhost");
        for (int i = 0; i < turns; i++)
            assert_int_equal(etcd__reactor_turn(&world->reactor, INT64_MAX), 0);
        assert_true(turns < 100);
        close_now(world);
        assert_int_equal(fake_open_sockets(world->fake), 0);
        run(world);
        assert_int_equal(world->closed, 0);
    }
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    etcd__conn_close(NULL);
}

/* ---- TLS ---- */

static void opens_with_tls(struct world *world)
{
    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1")->delay_ms = 1;
    open_conn(world, "https://localhost");
    run(world);
    assert_int_equal(world->opened, 1);
    assert_int_equal(world->closed, 0);
    assert_string_equal(tls_peer_sni(world->tls_peer), "localhost");
}

static void tls_carries_data(void **state)
{
    struct world *world = *state;

    world->reply = BIG; /* with the last message of the handshake, before anything was asked */
    opens_with_tls(world);
    assert_int_equal(world->received, BIG);
    write_pattern(world, BIG);
    run(world);
    assert_int_equal(world->served, BIG);
    close_now(world);
    run(world);
    assert_true(tls_peer_saw_end(world->tls_peer));
}

static void tls_works_byte_by_byte(void **state)
{
    struct world *world = *state;

    fake_limit_io(world->fake, 1, 1);
    world->reply = 1000;
    opens_with_tls(world);
    write_pattern(world, 1000);
    assert_true(etcd__conn_blocked(world->conn));
    run(world);
    assert_int_equal(world->received, 1000);
    assert_int_equal(world->served, 1000);
    assert_true(world->drained >= 1); /* the end of the handshake had to wait as well */
}

static void tls_phase_is_named(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    add_host(world, "127.0.0.1");
    world->read_only = true;
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->opened, 0);
    assert_string_equal(etcd__conn_phase(world->conn), "TLS handshake with 127.0.0.1:2379");
    fake_peer_close(world->peer);
    run(world);
    assert_string_equal(world->err.message, "TLS handshake with 127.0.0.1:2379: connection closed by peer");
    assert_int_equal(world->closed, 1);
}

static void tls_refusals_are_reported(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_OTHER_HOST, CERTS_OTHER_HOST_KEY, "h2");
    add_host(world, "127.0.0.1");
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->opened, 0);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_string_equal(
        world->err.message,
        "TLS handshake with 127.0.0.1:2379: certificate verify failed: not valid for 127.0.0.1 "
        "(subject CN=other server)");
    assert_true(tls_peer_failed(world->tls_peer)); /* it was told */
}

static void a_tls_goodbye_is_the_end(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    add_host(world, "127.0.0.1");
    world->reply = 10;
    world->quit = true;
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->received, 10);
    assert_int_equal(world->closed, 1);
    assert_string_equal(world->err.message, "127.0.0.1:2379: connection closed by peer");
}

/* The end without a goodbye: whatever came before counts, and it is an end like any other. */
static void an_end_without_a_goodbye(void **state)
{
    struct world *world = *state;

    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    add_host(world, "127.0.0.1");
    world->reply = 1000;
    open_conn(world, "https://127.0.0.1");
    run(world);
    assert_int_equal(world->received, 1000);
    fake_peer_close(world->peer);
    run(world);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
    assert_string_equal(world->err.message, "127.0.0.1:2379: connection closed by peer");
}

/* Bytes that are no TLS, and records that were changed on the way. */
static void garbage_ends_the_connection(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                        "\x17\x03\x03\x00\x20................................",
                                        "\x17\x03\x03\xff\xff......"};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = i == 0 ? strlen(texts[0]) : i == 1 ? 37 : 11;

        use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
        if (i == 0)
            add_host(world, "127.0.0.1");
        world->opened = world->closed = world->received = 0;
        assert_int_equal(try_open(world, "https://127.0.0.1"), ETCD_OK);
        run(world);
        assert_int_equal(world->opened, 1);
        fake_peer_write(world->peer, texts[i], len);
        run(world);
        assert_int_equal(world->closed, 1);
        assert_int_equal(world->received, 0);
        assert_int_equal(world->err.status, ETCD_E_UNAVAILABLE);
        assert_non_null(strstr(world->err.message, "TLS with 127.0.0.1:2379: "));
        etcd__conn_close(world->conn);
        world->conn = NULL;
        etcd__tls_unref(world->tls);
        world->tls = NULL;
        tls_peer_free(world->tls_peer);
        world->tls_peer = NULL;
    }
}

/* ---- lack of memory ---- */

static void talk(size_t n, void *user)
{
    struct world *world = user;
    struct tls_peer_options server = {dir, CERTS_SERVER, CERTS_SERVER_KEY, NULL, "h2", 0};
    bool with_tls = world->tls != NULL;
    etcd_status st;

    world->opened = world->closed = world->received = world->served = world->drained = 0;
    world->reply = 50000;
    if (with_tls) {
        tls_peer_free(world->tls_peer);
        world->tls_peer = tls_peer_new(&server);
    }
    st = try_open(world, "localhost");
    if (st == ETCD_OK) {
        char *bytes = pattern_new(50000);

        run(world);
        if (world->closed == 0 && etcd__conn_write(world->conn, bytes, 50000))
            assert_int_equal(world->opened, 1);
        run(world);
        free(bytes);
    }
    if (alloc_count() < n) {
        assert_int_equal(world->served, 50000);
        assert_int_equal(world->received, 50000);
        assert_int_equal(world->closed, 0);
    } else if (world->closed == 1 && world->err.status != ETCD_E_NO_MEMORY) {
        assert_non_null(strstr(world->err.message, "out of memory")); /* of a look-up */
    }
    close_now(world);
    run(world); /* the server hears of it before the next one comes */
}

static void survives_lack_of_memory(void **state)
{
    struct world *world = *state;

    fake_name_add(world->fake, "localhost", "127.0.0.1");
    add_host(world, "127.0.0.1")->window = 1000;
    assert_int_equal(etcd__endpoint_parse("localhost", &world->endpoint, NULL), ETCD_OK);
    assert_true(alloc_fail_each(talk, world) >= 6);
    use_tls(world, CERTS_SERVER, CERTS_SERVER_KEY, "h2");
    assert_true(alloc_fail_each(talk, world) >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(may_be_closed_in_on_open),
        TEST(may_be_closed_in_on_open_with_tls),
        TEST(may_be_closed_in_on_data),
        TEST(may_be_closed_in_on_closed),
        TEST(may_be_closed_between_any_turns),
        TEST(closing_nothing_is_fine),
        TEST(tls_carries_data),
        TEST(tls_works_byte_by_byte),
        TEST(tls_phase_is_named),
        TEST(tls_refusals_are_reported),
        TEST(a_tls_goodbye_is_the_end),
        TEST(an_end_without_a_goodbye),
        TEST(garbage_ends_the_connection),
        TEST(survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
