/* SPDX-License-Identifier: Apache-2.0 */
#include "support/etcd_binary.h"
#include "support/matrix.h"
#include "support/real.h"
#include "support/test.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct etcd_server *server;

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

static etcd_status try_campaign(struct real *real, const char *name, const char *value, int64_t timeout_ms,
                                etcd_election **ret_election, etcd_error *err)
{
    return etcd_election_campaign(real->client, etcd_cstr(name), etcd_cstr(value),
                                  ETCD_ELECTION_OPTS(.timeout_ms = timeout_ms, .allow_caller_drive = true),
                                  ret_election, err);
}

static etcd_election *campaign(struct real *real, const char *name, const char *value)
{
    etcd_election *election = NULL;
    etcd_error err;

    assert_false(
        real_failed(try_campaign(real, name, value, 10000 * ETCDC_TIME_SCALE, &election, &err), &err));
    return election;
}

static void resign(etcd_election *election)
{
    etcd_error err;

    assert_false(real_failed(etcd_election_resign(election, 0, &err), &err));
}

static void proclaim(etcd_election *election, const char *value)
{
    etcd_error err;

    assert_false(real_failed(etcd_election_proclaim(election, etcd_cstr(value), 0, &err), &err));
}

static bool is_text(etcd_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* The leader's value, "" for nobody. */
static void expect_leader(struct real *real, const char *name, const char *value, int64_t fence)
{
    etcd_get_result *leader = NULL;
    etcd_error err;
    etcd_status st = etcd_election_leader(real->client, etcd_cstr(name), 0, &leader, &err);

    if (value[0] == '\0') {
        assert_int_equal(st, ETCD_E_NOT_FOUND);
        assert_null(leader);
        return;
    }
    assert_false(real_failed(st, &err));
    assert_int_equal(etcd_get_result_count(leader), 1);
    assert_true(is_text(etcd_get_result_kv(leader, 0)->value, value));
    if (fence != 0)
        assert_int_equal(etcd_get_result_kv(leader, 0)->create_revision, fence);
    etcd_get_result_free(leader);
}

/* ---- one leader ------------------------------------------------------------------------------------ */

static void lead_and_resign(void **state)
{
    struct real real = open_real();
    etcd_election *election;
    int64_t fence = 0;
    char key[64];

    (void)state;
    for (int i = 0; i < 3; i++) {
        election = campaign(&real, "simple", "me");
        assert_true(etcd_election_leads(election));
        assert_true(etcd_election_fence(election) > fence);
        fence = etcd_election_fence(election);
        snprintf(key, sizeof(key), "simple/%" PRIx64, (uint64_t)etcd_election_lease_id(election));
        assert_true(is_text(etcd_election_key(election), key));
        expect_leader(&real, "simple", "me", fence);
        proclaim(election, "still me");
        expect_leader(&real, "simple", "still me", fence);
        assert_true(etcd_election_leads(election));
        resign(election);
        expect_leader(&real, "simple", "", 0);
        assert_int_equal(real_leases(&real), 0);
    }
    real_close(&real);
}

static void bad_arguments(void **state)
{
    struct real real = open_real();
    etcd_election *election = NULL;
    etcd_observer *observer = NULL;
    etcd_get_result *leader = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(try_campaign(&real, "", "x", 0, &election, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(try_campaign(&real, "x", "x", -1, &election, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "-1"));
    assert_int_equal(etcd_election_campaign(NULL, etcd_cstr("x"), etcd_cstr("x"), NULL, &election, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_election_campaign(real.client, etcd_cstr("x"), etcd_cstr("x"),
                                            ETCD_ELECTION_OPTS(.ttl_s = -1), &election, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(
        etcd_election_campaign(real.client, etcd_cstr("x"), etcd_bytes_of(NULL, 1), NULL, &election, &err),
        ETCD_E_INVALID_ARGUMENT);
    if (test_caller_drive())
        assert_int_equal(
            etcd_election_campaign(real.client, etcd_cstr("x"), etcd_cstr("x"), NULL, &election, &err),
            ETCD_E_PRECONDITION);
    assert_int_equal(etcd_election_leader(real.client, etcd_cstr(""), 0, &leader, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_election_observe(real.client, etcd_cstr("x"), NULL, &observer, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_election_proclaim(NULL, etcd_cstr("x"), 0, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_election_resign(NULL, 0, &err), ETCD_OK);
    etcd_observer_close(NULL);
    assert_false(etcd_election_leads(NULL));
    assert_int_equal(real_leases(&real), 0);
    real_close(&real);
}

static void waiting_has_an_end(void **state)
{
    struct real real = open_real(), other = open_real();
    etcd_election *election = campaign(&real, "busy", "me"), *second = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(try_campaign(&other, "busy", "you", 300, &second, &err), ETCD_E_DEADLINE);
    assert_non_null(strstr(err.message, "\"busy\""));
    assert_int_equal(etcd_election_campaign(
                         other.client, etcd_cstr("busy"), etcd_cstr("you"),
                         ETCD_ELECTION_OPTS(.try_campaign = true, .allow_caller_drive = true), &second, &err),
                     ETCD_E_BUSY);
    assert_true(real_wait_keys(&real, "busy/", 1, 1000)); /* they have left the line */
    expect_leader(&other, "busy", "me", etcd_election_fence(election));
    resign(election);
    real_close(&real);
    real_close(&other);
}

/* ---- several candidates ---------------------------------------------------------------------------- */

struct candidate {
    pthread_t thread;
    struct real real;
    const char *value;
    etcd_status status;
    int64_t fence;
    atomic_bool leads, go;
};

static void *run_candidate(void *arg)
{
    struct candidate *c = arg;
    etcd_election *election = NULL;
    int64_t deadline = test_deadline_ms(20000);
    etcd_error err;

    c->status = try_campaign(&c->real, "line", c->value, 20000 * ETCDC_TIME_SCALE, &election, &err);
    if (c->status == ETCD_OK) {
        c->fence = etcd_election_fence(election);
        atomic_store(&c->leads, true);
        while (!atomic_load(&c->go) && test_poll_again(deadline))
            real_idle(&c->real, 10);
        c->status = etcd_election_resign(election, 0, &err);
    }
    return NULL;
}

static bool leads(void *arg)
{
    return atomic_load(&((struct candidate *)arg)->leads);
}

static void candidates_come_in_order(void **state)
{
    static struct candidate c[3];
    static const char *const values[] = {"a", "b", "c"};
    struct real real = open_real();
    int64_t fence = 0;

    (void)state;
    memset(c, 0, sizeof(c));
    for (int i = 0; i < 3; i++) {
        c[i].value = values[i];
        c[i].real = open_real();
        assert_int_equal(pthread_create(&c[i].thread, NULL, run_candidate, &c[i]), 0);
        assert_true(real_wait_keys(&real, "line/", i + 1, 10000));
    }
    for (int i = 0; i < 3; i++) {
        assert_true(real_wait(&real, leads, &c[i], 10000));
        assert_true(i == 2 || !leads(&c[i + 1]));
        expect_leader(&real, "line", values[i], c[i].fence);
        atomic_store(&c[i].go, true);
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].status, ETCD_OK);
        assert_true(c[i].fence > fence);
        fence = c[i].fence;
        real_close(&c[i].real);
    }
    expect_leader(&real, "line", "", 0);
    real_close(&real);
}

/* ---- loss ------------------------------------------------------------------------------------------ */

struct loss {
    atomic_int calls;
    etcd_status status;
};

static void on_lost(etcd_election *election, etcd_status status, const etcd_error *err, void *user_data)
{
    struct loss *loss = user_data;

    assert_true(etcd_election_fence(election) > 0);
    loss->status = status;
    assert_int_equal(err->status, status);
    atomic_fetch_add(&loss->calls, 1);
}

static bool was_lost(void *arg)
{
    return atomic_load(&((struct loss *)arg)->calls) > 0;
}

static etcd_election *campaign_watched(struct real *real, const char *name, struct loss *loss)
{
    etcd_election *election = NULL;
    etcd_error err;

    memset(loss, 0, sizeof(*loss));
    assert_false(real_failed(etcd_election_campaign(real->client, etcd_cstr(name), etcd_cstr("me"),
                                                    ETCD_ELECTION_OPTS(.on_lost = on_lost, .user_data = loss,
                                                                       .allow_caller_drive = true),
                                                    &election, &err),
                             &err));
    return election;
}

/* Whoever deposed us may lead by now: nothing of ours is written or deleted. */
static void a_lost_lead_is_noticed(void **state)
{
    struct real real = open_real(), other = open_real();
    struct loss loss;
    etcd_election *election = campaign_watched(&real, "lost", &loss);
    etcd_election *next;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lease_revoke(other.client, etcd_election_lease_id(election), NULL, NULL), ETCD_OK);
    next = campaign(&other, "lost", "you");
    assert_int_equal(etcd_election_proclaim(election, etcd_cstr("me again"), 0, &err), ETCD_E_LEASE_LOST);
    assert_true(real_wait(&real, was_lost, &loss, 1000));
    assert_int_equal(loss.status, ETCD_E_LEASE_LOST);
    assert_false(etcd_election_leads(election));
    assert_int_equal(etcd_election_resign(election, 0, &err), ETCD_E_LEASE_LOST);
    assert_non_null(strstr(err.message, "\"lost\""));
    assert_int_equal(atomic_load(&loss.calls), 1);
    expect_leader(&real, "lost", "you", etcd_election_fence(next));
    resign(next);
    real_close(&real);
    real_close(&other);
}

/* ---- observers ------------------------------------------------------------------------------------- */

enum { SEEN_MAX = 32 };

struct seen {
    atomic_int count; /* values are valid below it */
    char values[SEEN_MAX][16];
    atomic_int ends;
    etcd_status status;
    const char *close_at; /* a value */
};

static void on_leader(etcd_observer *observer, const etcd_kv *leader, const etcd_error *err, void *user_data)
{
    struct seen *seen = user_data;
    int n = atomic_load(&seen->count);

    if (err != NULL) {
        assert_null(leader);
        seen->status = err->status;
        atomic_fetch_add(&seen->ends, 1);
        return;
    }
    assert_true(n < SEEN_MAX);
    snprintf(seen->values[n], sizeof(seen->values[n]), "%.*s", leader == NULL ? 0 : (int)leader->value.len,
             leader == NULL ? "" : (const char *)leader->value.data);
    atomic_store(&seen->count, n + 1);
    if (seen->close_at != NULL && strcmp(seen->close_at, seen->values[n]) == 0)
        etcd_observer_close(observer);
}

static etcd_observer *observe(struct real *real, const char *name, struct seen *seen)
{
    etcd_observer *observer = NULL;
    etcd_error err;

    assert_false(real_failed(
        etcd_election_observe(real->client, etcd_cstr(name),
                              ETCD_OBSERVE_OPTS(.on_leader = on_leader, .user_data = seen), &observer, &err),
        &err));
    return observer;
}

struct wanted {
    struct seen *seen;
    const char *value;
};

static bool saw(void *arg)
{
    const struct wanted *wanted = arg;
    int n = atomic_load(&wanted->seen->count);

    return n > 0 && strcmp(wanted->seen->values[n - 1], wanted->value) == 0;
}

static void expect_seen(struct real *real, struct seen *seen, const char *value)
{
    struct wanted wanted = {seen, value};

    if (!real_wait(real, saw, &wanted, 10000))
        fail_msg("the newest of %d is not \"%s\"", atomic_load(&seen->count), value);
}

static void observers_see_leaders_and_their_absence(void **state)
{
    struct real real = open_real(), other = open_real();
    struct seen seen = {.count = 0};
    etcd_observer *observer = observe(&real, "seen", &seen);
    etcd_election *election;
    static const char *const wanted[] = {"", "one", "two", "", "three", ""};

    (void)state;
    expect_seen(&real, &seen, "");
    election = campaign(&other, "seen", "one");
    expect_seen(&real, &seen, "one");
    proclaim(election, "two");
    expect_seen(&real, &seen, "two");
    resign(election);
    expect_seen(&real, &seen, "");
    election = campaign(&other, "seen", "three");
    expect_seen(&real, &seen, "three");
    assert_int_equal(etcd_lease_revoke(real.client, etcd_election_lease_id(election), NULL, NULL), ETCD_OK);
    expect_seen(&real, &seen, "");
    assert_int_equal(etcd_election_resign(election, 0, NULL), ETCD_E_LEASE_LOST);
    assert_int_equal(atomic_load(&seen.count), 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(seen.values[i], wanted[i]);
    etcd_observer_close(observer);
    assert_int_equal(atomic_load(&seen.ends), 1);
    assert_int_equal(seen.status, ETCD_E_CANCELLED);
    real_close(&real);
    real_close(&other);
}

/* Candidates who wait are not told; a compaction, and a restart, are survived. */
static void observers_survive(void **state)
{
    struct real real = open_real();
    etcd_election *election = campaign(&real, "long", "one");
    struct seen seen = {.count = 0};
    etcd_observer *observer = observe(&real, "long", &seen);
    etcd_get_result *result = NULL;
    etcd_error err;

    (void)state;
    expect_seen(&real, &seen, "one");
    assert_false(real_failed(etcd_get(real.client, etcd_cstr("x"), NULL, &result, &err), &err));
    assert_false(
        real_failed(etcd_compact(real.client, etcd_get_result_header(result)->revision, NULL, &err), &err));
    etcd_get_result_free(result);
    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart(server, 0));
    assert_true(etcd_server_wait(server, 0));
    proclaim(election, "two");
    expect_seen(&real, &seen, "two");
    assert_int_equal(atomic_load(&seen.count), 2);
    assert_int_equal(etcd_client_close(real.client, NULL), ETCD_OK);
    assert_int_equal(etcd_election_resign(election, 0, NULL), ETCD_E_CLOSED);
    etcd_observer_close(observer);
    assert_int_equal(atomic_load(&seen.ends), 1);
    real_close(&real);
}

static void observers_can_be_closed_inside(void **state)
{
    struct real real = open_real();
    struct seen seen = {.close_at = "one"}, first = {.close_at = ""};
    etcd_election *election;

    (void)state;
    (void)observe(&real, "inside", &seen);
    (void)observe(&real, "inside", &first); /* in its first call */
    expect_seen(&real, &seen, "");
    expect_seen(&real, &first, "");
    election = campaign(&real, "inside", "one");
    expect_seen(&real, &seen, "one");
    proclaim(election, "two");
    real_idle(&real, 100);
    assert_int_equal(atomic_load(&seen.count), 2);
    assert_int_equal(atomic_load(&first.count), 1);
    assert_int_equal(atomic_load(&seen.ends) + atomic_load(&first.ends), 0);
    resign(election);
    real_close(&real);
}

/* ---- etcdctl --------------------------------------------------------------------------------------- */

static pid_t start_etcdctl_elect(const char *name, const char *proposal)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "ETCDCTL_API=3", NULL};
    const char *argv[] = {NULL, "--endpoints", NULL, "elect", name, proposal, NULL};
    struct etcd_binary binary;

    assert_true(etcd_binary_find(test_version(), &binary));
    argv[0] = binary.etcdctl;
    argv[2] = etcd_server_endpoints(server);
    return process_start(argv, env, etcd_server_file(server, "etcdctl.log"));
}

/* It prints its key when it leads; killed before that it leaves the key to its lease. */
static bool etcdctl_has_printed(void *arg)
{
    FILE *in = fopen(etcd_server_file(server, "etcdctl.log"), "re");
    char line[256];
    bool found = false;

    while (in != NULL && !found && fgets(line, sizeof(line), in) != NULL)
        found = strncmp(line, arg, strlen(arg)) == 0;
    if (in != NULL)
        (void)fclose(in);
    return found;
}

static void end_etcdctl(struct real *real, pid_t pid, const char *name)
{
    char text[32];

    snprintf(text, sizeof(text), "%s/", name);
    assert_true(real_wait(real, etcdctl_has_printed, text, 10000));
    assert_int_equal(kill(pid, SIGINT), 0); /* it resigns then */
}

static void etcdctl_waits_for_us(void **state)
{
    struct real real = open_real();
    etcd_election *election = campaign(&real, "ctl-waits", "me");
    pid_t pid = start_etcdctl_elect("ctl-waits", "ctl");
    struct seen seen = {.count = 0};
    etcd_observer *observer;

    (void)state;
    assert_true(pid > 0);
    assert_true(real_wait_keys(&real, "ctl-waits/", 2, 10000));
    observer = observe(&real, "ctl-waits", &seen);
    expect_seen(&real, &seen, "me");
    real_idle(&real, 200);
    expect_leader(&real, "ctl-waits", "me", etcd_election_fence(election));
    resign(election);
    expect_seen(&real, &seen, "ctl");
    assert_int_equal(atomic_load(&seen.count), 2); /* nobody came between */
    end_etcdctl(&real, pid, "ctl-waits");
    (void)process_wait(pid);
    expect_seen(&real, &seen, "");
    etcd_observer_close(observer);
    real_close(&real);
}

static void we_wait_for_etcdctl(void **state)
{
    struct real real = open_real();
    etcd_election *election = NULL;
    etcd_error err;
    pid_t pid = start_etcdctl_elect("ctl-leads", "ctl");

    (void)state;
    assert_true(pid > 0);
    assert_true(real_wait_keys(&real, "ctl-leads/", 1, 10000));
    assert_int_equal(try_campaign(&real, "ctl-leads", "me", 300, &election, &err), ETCD_E_DEADLINE);
    expect_leader(&real, "ctl-leads", "ctl", 0);
    end_etcdctl(&real, pid, "ctl-leads");
    election = campaign(&real, "ctl-leads", "me");
    expect_leader(&real, "ctl-leads", "me", etcd_election_fence(election));
    (void)process_wait(pid);
    resign(election);
    real_close(&real);
}

static int start_server(void **state)
{
    const struct etcd_server_options options = {.version = test_version()};

    (void)state;
    server = etcd_server_start(&options);
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lead_and_resign),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(candidates_come_in_order),
        cmocka_unit_test(a_lost_lead_is_noticed),
        cmocka_unit_test(observers_see_leaders_and_their_absence),
        cmocka_unit_test(observers_can_be_closed_inside),
        cmocka_unit_test(etcdctl_waits_for_us),
        cmocka_unit_test(we_wait_for_etcdctl),
        cmocka_unit_test(observers_survive),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
