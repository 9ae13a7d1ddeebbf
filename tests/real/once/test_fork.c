/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child with copies of everything that a client can have open: each call says at once that the
 * client is closed, everything can be given back, and the parent's go on as if nothing had been. Under both
 * drives.
 */
#include "support/every_call.h"
#include "support/fake_client.h"
#include "support/real.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 20, TTL_S = 10, TIMEOUT_MS = 5000 };

/* The first check that does not hold ends the child with its line. */
#define CHILD(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            (void)fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            _exit(1);                                                     \
        }                                                                 \
    } while (false)

struct open {
    struct real real;
    etcd_watch *watch;
    etcd_lease lease;
    etcd_keepalive *keepalive;
    etcd_lock *lock;
    etcd_election *election;
    etcd_observer *observer;
    etcd_registration *registration;
    etcd_view *view;
    size_t calls; /* of callbacks */
};

static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    (void)view;
    (void)snapshot;
    (void)events;
    (void)err;
    (void)__atomic_add_fetch((size_t *)user_data, 1, __ATOMIC_RELEASE);
}

static void on_leader(etcd_observer *observer, const etcd_kv *leader, const etcd_error *err, void *user_data)
{
    (void)observer;
    (void)leader;
    (void)err;
    (void)__atomic_add_fetch((size_t *)user_data, 1, __ATOMIC_RELEASE);
}

static void ok(etcd_status st, const etcd_error *err)
{
    assert_status(st, ETCD_OK, err);
}

static void open_leased(struct open *open)
{
    etcd_client *client = open->real.client;
    etcd_error err;

    ok(etcd_lease_grant(client, TTL_S, NULL, &open->lease, &err), &err);
    ok(etcd_keepalive_start(client, open->lease, NULL, &open->keepalive, &err), &err);
    ok(etcd_lock_acquire(client, etcd_cstr("fork/lock"),
                         ETCD_LOCK_OPTS(.ttl_s = TTL_S, .allow_caller_drive = true), &open->lock, &err),
       &err);
    ok(etcd_election_campaign(client, etcd_cstr("fork/lead"), etcd_cstr("me"),
                              ETCD_ELECTION_OPTS(.ttl_s = TTL_S, .allow_caller_drive = true), &open->election,
                              &err),
       &err);
    ok(etcd_register(client, "fork", "1", "x", ETCD_REGISTER_OPTS(.ttl_s = TTL_S), &open->registration, &err),
       &err);
}

static void open_followers(struct open *open)
{
    etcd_client *client = open->real.client;
    etcd_error err;

    ok(etcd_watch_open(client, etcd_cstr("k"), NULL, &open->watch, &err), &err);
    ok(etcd_view_open(client, etcd_cstr("fork/"),
                      ETCD_VIEW_OPTS(.on_change = on_change, .user_data = &open->calls), &open->view, &err),
       &err);
    ok(etcd_election_observe(client, etcd_cstr("fork/lead"),
                             ETCD_OBSERVE_OPTS(.on_leader = on_leader, .user_data = &open->calls),
                             &open->observer, &err),
       &err);
}

/* ---- the child -------------------------------------------------------------------------------------- */

static void use_calls(etcd_client *client, const char *endpoint)
{
    etcd_error err;

    for (size_t i = 0; i < every_call_count; i++) {
        if (every_call[i].run(client, endpoint, &err) != ETCD_E_CLOSED) {
            (void)fprintf(stderr, "%s: %s\n", every_call[i].method, err.message);
            _exit(1);
        }
        CHILD(strstr(err.message, "forked") != NULL);
    }
    CHILD(etcd_client_wait_ready(client, TIMEOUT_MS, &err) == ETCD_E_CLOSED);
    CHILD(etcd_client_sync(client, TIMEOUT_MS, &err) == ETCD_E_CLOSED);
    CHILD(etcd_client_release_leases(client, TIMEOUT_MS, &err) != ETCD_OK);
}

static void use_recipes(etcd_client *client)
{
    etcd_watch *watch = NULL;
    etcd_view *view = NULL;
    etcd_lock *lock = NULL;
    etcd_election *election = NULL;
    etcd_registration *registration = NULL;
    etcd_services *services = NULL;
    etcd_get_result *leader = NULL;
    etcd_error err;

    CHILD(etcd_watch_open(client, etcd_cstr("k"), NULL, &watch, &err) == ETCD_E_CLOSED);
    CHILD(etcd_view_open(client, etcd_cstr("k"), NULL, &view, &err) == ETCD_E_CLOSED);
    CHILD(etcd_lock_acquire(client, etcd_cstr("l"), ETCD_LOCK_OPTS(.allow_caller_drive = true), &lock,
                            &err) == ETCD_E_CLOSED);
    CHILD(etcd_election_campaign(client, etcd_cstr("l"), etcd_cstr("me"),
                                 ETCD_ELECTION_OPTS(.allow_caller_drive = true), &election,
                                 &err) == ETCD_E_CLOSED);
    CHILD(etcd_election_leader(client, etcd_cstr("l"), 0, &leader, &err) == ETCD_E_CLOSED);
    CHILD(etcd_register(client, "fork", "2", "x", NULL, &registration, &err) == ETCD_E_CLOSED);
    CHILD(etcd_discover(client, "fork", NULL, &services, &err) == ETCD_E_CLOSED);
}

static void give_back(struct open *open)
{
    etcd_events *events = NULL;
    etcd_error err;

    CHILD(etcd_watch_next(open->watch, TIMEOUT_MS, &events, &err) == ETCD_E_CLOSED);
    CHILD(etcd_election_proclaim(open->election, etcd_cstr("you"), TIMEOUT_MS, &err) != ETCD_OK);
    etcd_watch_cancel(open->watch);
    etcd_watch_close(open->watch);
    etcd_observer_close(open->observer);
    etcd_view_close(open->view);
    etcd_keepalive_close(open->keepalive);
    CHILD(etcd_lock_release(open->lock, TIMEOUT_MS, &err) != ETCD_OK);
    CHILD(etcd_election_resign(open->election, TIMEOUT_MS, &err) != ETCD_OK);
    CHILD(etcd_registration_close(open->registration, TIMEOUT_MS, &err) != ETCD_OK);
}

static void be_child(struct open *open, const char *endpoint, size_t fds)
{
    etcd_error err;

    (void)alarm(CHILD_SECONDS * ETCDC_TIME_SCALE); /* whatever waits for something that never comes */
    use_calls(open->real.client, endpoint);
    use_recipes(open->real.client);
    give_back(open);
    etcd_client_cancel_waits(open->real.client);
    CHILD(etcd_client_close(open->real.client, &err) == ETCD_OK);
    etcd_client_free(open->real.client);
    etcd_loop_free(open->real.loop);
    CHILD(fake_count_fds() == fds);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------------- */

static void check_parent(struct open *open)
{
    etcd_client *client = open->real.client;
    etcd_events *events = NULL;
    etcd_ttl_result *ttl = NULL;
    etcd_error err;

    real_idle(&open->real, 200);
    ok(fake_put(client, TIMEOUT_MS, &err), &err);
    ok(etcd_watch_next(open->watch, TIMEOUT_MS, &events, &err), &err);
    assert_int_equal(etcd_events_count(events), 1);
    etcd_events_free(events);
    assert_true(etcd_lock_held(open->lock) && etcd_election_leads(open->election));
    assert_true(etcd_registration_alive(open->registration));
    assert_true(etcd_keepalive_remaining_ms(open->keepalive) > 0);
    ok(etcd_lease_time_to_live(client, open->lease.id, NULL, &ttl, &err), &err);
    assert_true(etcd_ttl_result_ttl_s(ttl) > 0); /* the child did not revoke it */
    etcd_ttl_result_free(ttl);
    assert_int_equal(real_keys(&open->real, "fork/"), 2);
    assert_int_equal(real_keys(&open->real, "/services/fork"), 1);
}

static void close_parent(struct open *open)
{
    etcd_error err;

    etcd_watch_close(open->watch);
    etcd_observer_close(open->observer);
    etcd_view_close(open->view);
    etcd_keepalive_close(open->keepalive);
    ok(etcd_lock_release(open->lock, TIMEOUT_MS, &err), &err);
    ok(etcd_election_resign(open->election, TIMEOUT_MS, &err), &err);
    ok(etcd_registration_close(open->registration, TIMEOUT_MS, &err), &err);
    real_close(&open->real);
}

static void check_drive(const char *drive)
{
    struct etcd_server *server = etcd_server_start(NULL);
    size_t fds = fake_count_fds();
    struct open open = {.calls = 0};
    int status = 0;
    pid_t pid;

    assert_non_null(server);
    assert_int_equal(setenv("ETCDC_TEST_DRIVE", drive, 1), 0);
    assert_true(real_open(&open.real, etcd_server_endpoints(server)));
    open_leased(&open);
    open_followers(&open);
    real_idle(&open.real, 200);
    pid = fork();
    if (pid == 0)
        be_child(&open, etcd_server_endpoint(server, 0), fds);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    check_parent(&open);
    close_parent(&open);
    etcd_server_free(server);
}

static void with_a_thread(void **state)
{
    (void)state;
    check_drive("thread");
}

static void driven_by_the_program(void **state)
{
    (void)state;
    check_drive("caller");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_thread),
        cmocka_unit_test(driven_by_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
