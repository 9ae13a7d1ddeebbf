/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation fails once, then every one from there on, through a client's whole life: in the scripted
 * network, so that run n is run n. Nothing may crash, hang or leak, and every failure is an ordinary one.
 */
#include "support/alloc_fail.h"
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "runtime/loop.h"

#include <stdio.h>
#include <stdlib.h>

struct run {
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_loop *loop;
    etcd_client *client;
    size_t failed;
    unsigned callbacks;
    unsigned states, closed; /* told */
};

static void make_world(struct run *run)
{
    static const struct fake_member members[] = {{"a", "http://192.0.2.1:2379", false}};

    memset(run, 0, sizeof(*run));
    run->env = fake_env_new(1);
    run->fake = fake_etcd_attach(run->env, "192.0.2.1", 2379);
    fake_etcd_set_auth(run->fake, "u", "p");
    fake_etcd_set_members(run->fake, members, 1);
}

static void free_world(struct run *run)
{
    etcd_client_free(run->client);
    etcd_loop_free(run->loop);
    fake_etcd_free(run->fake);
    assert_int_equal(fake_open_sockets(run->env), 0);
    assert_int_equal(fake_misuses(run->env), 0);
    fake_env_free(run->env);
}

/* A failure is told as what it is, or as what it led to. */
static void look(struct run *run, const char *what, etcd_status st, const etcd_error *err)
{
    if (st == ETCD_OK)
        return;
    run->failed++;
    if (st != ETCD_E_NO_MEMORY && st != ETCD_E_UNAVAILABLE && st != ETCD_E_DEADLINE)
        fail_msg("%s: %s: %s", what, etcd_status_name(st), err->message);
    assert_int_equal(err->status, st);
    assert_true(err->message[0] != '\0');
}

static void count_it(etcd_op *op, void *user_data)
{
    (void)op;
    (*(unsigned *)user_data)++;
}

static void write_and_read(struct run *run)
{
    etcd_get_result *result = NULL;
    etcd_put_result *put_result = NULL;
    etcd_error err;

    look(run, "put", etcd_put(run->client, etcd_cstr("k"), etcd_cstr("v"), NULL, &put_result, &err), &err);
    etcd_put_result_free(put_result);
    look(run, "get", etcd_get(run->client, etcd_cstr("k"), ETCD_GET_OPTS(.prefix = true), &result, &err),
         &err);
    etcd_get_result_free(result);
    look(run, "delete",
         etcd_delete(run->client, etcd_cstr("x"), ETCD_DELETE_OPTS(.prefix = true), NULL, &err), &err);
}

static void transact(struct run *run)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_error err;

    etcd_txn_if_exists(txn, etcd_cstr("k"));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("w"), NULL);
    etcd_txn_put(txn, ETCD_TXN_ELSE, etcd_cstr("k"), etcd_cstr("x"), NULL);
    look(run, "txn", etcd_txn_commit(run->client, txn, NULL, &result, &err), &err);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
}

static void lease(struct run *run)
{
    etcd_lease lease = {0};
    etcd_error err;
    etcd_status st = etcd_lease_grant(run->client, 60, NULL, &lease, &err);

    look(run, "grant", st, &err);
    if (st != ETCD_OK)
        return;
    look(run, "put with a lease",
         etcd_put(run->client, etcd_cstr("l"), etcd_cstr("v"), ETCD_PUT_OPTS(.lease_id = lease.id), NULL,
                  &err),
         &err);
    look(run, "revoke", etcd_lease_revoke(run->client, lease.id, NULL, &err), &err);
}

/* The server ends the connection under a read, which goes to the next one. */
static void reconnect(struct run *run)
{
    etcd_error err;

    fake_etcd_next(run->fake, "Range", &(struct fake_step){.what = STEP_CUT});
    look(run, "get across connections", fake_get(run->client, 0, &err), &err);
    fake_etcd_next(run->fake, "Range", &(struct fake_step){.what = STEP_GOAWAY});
    look(run, "get after GOAWAY", fake_get(run->client, 0, &err), &err);
}

/* Each started operation calls back once, however it ends. */
static void call_async(struct run *run)
{
    etcd_op *op = NULL;
    unsigned started = 0, before = run->callbacks;
    etcd_error err;
    etcd_status st;

    st = etcd_get_async(run->client, etcd_cstr("k"), NULL, count_it, &run->callbacks, &op, &err);
    look(run, "async", st, &err);
    started += st == ETCD_OK ? 1 : 0;
    etcd_op_cancel(op);
    etcd_op_free(op);
    st = etcd_client_wait_ready_async(run->client, 0, count_it, &run->callbacks, NULL, &err);
    look(run, "ready", st, &err);
    started += st == ETCD_OK ? 1 : 0;
    for (int i = 0; i < 1000 && run->callbacks < before + started; i++)
        (void)etcd_loop_wait(run->loop, 10, &err);
    assert_int_equal(run->callbacks, before + started);
}

static void on_state(etcd_client *client, etcd_client_state state, const etcd_error *err, void *user_data)
{
    struct run *run = user_data;

    (void)client;
    (void)err;
    assert_int_equal(run->closed, 0);
    run->states++;
    run->closed += state == ETCD_CLIENT_CLOSED ? 1 : 0;
}

static void move(struct run *run)
{
    char version[16];
    etcd_error err;

    look(run, "set_endpoints",
         etcd_client_set_endpoints(run->client, ETCD_LIST("http://192.0.2.1:2379"), &err), &err);
    look(run, "put elsewhere", fake_put(run->client, 0, &err), &err);
    look(run, "version", etcd_client_server_version(run->client, 0, version, sizeof(version), &err), &err);
}

static void live(struct run *run)
{
    const etcd_client_opts opts = {.size = sizeof(opts),
                                   .endpoints = ETCD_LIST("192.0.2.1:2379"),
                                   .username = "u",
                                   .password = ETCD_SECRET_TEXT("p"),
                                   .prefer = ETCD_PREFER_LEADER,
                                   .on_state = on_state,
                                   .state_user_data = run};
    char text[512];
    etcd_client_opts own = opts;
    etcd_error err;
    etcd_status st = etcd__loop_new_env(fake_env_table(run->env), &run->loop, &err);

    look(run, "loop", st, &err);
    own.loop = run->loop;
    if (st == ETCD_OK) {
        st = etcd_client_open(&own, &run->client, &err);
        look(run, "open", st, &err);
    }
    if (st != ETCD_OK)
        return;
    write_and_read(run);
    transact(run);
    call_async(run);
    lease(run);
    reconnect(run);
    look(run, "sync", etcd_client_sync(run->client, 0, &err), &err);
    move(run);
    fake_etcd_expire_tokens(run->fake);
    look(run, "put", fake_put(run->client, 0, &err), &err);
    (void)etcd_client_describe(run->client, text, sizeof(text));
    assert_status(etcd_client_close(run->client, &err), ETCD_OK, &err);
    assert_int_equal(run->closed, 1);
}

static void scenario(size_t n, void *user)
{
    size_t *failures = user;
    struct run run;
    size_t before = alloc_live();

    make_world(&run);
    live(&run);
    free_world(&run);
    if (alloc_live() != before)
        fail_msg("allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    *failures += run.failed;
}

static void test_one_failure(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    allocations = alloc_fail_each(scenario, &failures);
    print_message("%zu allocations, %zu calls failed\n", allocations, failures);
    assert_true(allocations > 50);
    assert_true(failures > 10);
}

static void test_no_memory_from_some_time_on(void **state)
{
    size_t failures = 0;
    size_t allocations;

    (void)state;
    alloc_fail_at(0);
    scenario(0, &failures);
    allocations = alloc_count();
    assert_int_equal(failures, 0);
    for (size_t n = 1; n <= allocations; n++) {
        struct run run;
        size_t before = alloc_live();

        make_world(&run);
        alloc_fail_from(n);
        live(&run);
        alloc_fail_at(0);
        free_world(&run);
        if (alloc_live() != before)
            fail_msg("from allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_failure),
        cmocka_unit_test(test_no_memory_from_some_time_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
