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
#include <unistd.h>

enum { PROCESSES = 4, INCREMENTS = 250 };

static struct etcd_server *server;
static const char *self; /* this program, for children */

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

/* Waits for the lock, at most 10 s. */
static etcd_lock *acquire(struct real *real, const char *name, int64_t ttl_s)
{
    etcd_lock *lock = NULL;
    etcd_error err;
    etcd_status st;

    st = etcd_lock_acquire(
        real->client, etcd_cstr(name),
        ETCD_LOCK_OPTS(.ttl_s = ttl_s, .timeout_ms = 10000 * ETCDC_TIME_SCALE, .allow_caller_drive = true),
        &lock, &err);
    assert_false(real_failed(st, &err));
    return lock;
}

static void release(etcd_lock *lock)
{
    etcd_error err;

    assert_false(real_failed(etcd_lock_release(lock, 0, &err), &err));
}

/* ---- one holder ------------------------------------------------------------------------------------ */

static void acquire_and_release(void **state)
{
    struct real real = open_real();
    etcd_get_result *result = NULL;
    int64_t fence;
    etcd_lock *lock;
    char key[64];

    (void)state;
    for (int i = 0; i < 3; i++) {
        lock = acquire(&real, "simple", 0);
        assert_true(etcd_lock_held(lock));
        fence = etcd_lock_fence(lock);
        snprintf(key, sizeof(key), "simple/%" PRIx64, (uint64_t)etcd_lock_lease_id(lock));
        assert_string_equal((const char *)etcd_lock_key(lock).data, key);
        assert_int_equal(etcd_lock_key(lock).len, strlen(key));
        assert_int_equal(etcd_get(real.client, etcd_lock_key(lock), NULL, &result, NULL), ETCD_OK);
        assert_int_equal(etcd_get_result_count(result), 1);
        assert_int_equal(etcd_get_result_kv(result, 0)->create_revision, fence);
        assert_int_equal(etcd_get_result_kv(result, 0)->lease_id, etcd_lock_lease_id(lock));
        assert_int_equal(etcd_get_result_kv(result, 0)->value.len, 0);
        etcd_get_result_free(result);
        release(lock);
        assert_int_equal(real_keys(&real, "simple/"), 0);
        assert_int_equal(real_leases(&real), 0);
    }
    real_close(&real);
}

/* As Go's sessions. */
static void a_minute_is_the_default(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "minute", 0);
    etcd_ttl_result *result = NULL;

    (void)state;
    assert_int_equal(etcd_lease_time_to_live(real.client, etcd_lock_lease_id(lock), NULL, &result, NULL),
                     ETCD_OK);
    assert_int_equal(etcd_ttl_result_granted_ttl_s(result), 60);
    etcd_ttl_result_free(result);
    release(lock);
    real_close(&real);
}

static void bad_arguments(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lock_acquire(NULL, etcd_cstr("x"), NULL, &lock, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr(""), NULL, &lock, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("x"), ETCD_LOCK_OPTS(.ttl_s = -1), &lock, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "-1"));
    assert_int_equal(
        etcd_lock_acquire(real.client, etcd_cstr("x"), ETCD_LOCK_OPTS(.ttl_s = INT64_MAX), &lock, &err),
        ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("x"),
                                       ETCD_LOCK_OPTS(.timeout_ms = -1, .allow_caller_drive = true), &lock,
                                       &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("x"),
                                       ETCD_LOCK_OPTS(.allow_caller_drive = true), NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_null(lock);
    assert_int_equal(etcd_lock_release(NULL, 0, NULL), ETCD_OK);
    assert_false(etcd_lock_held(NULL));
    if (test_caller_drive())
        assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("x"), NULL, &lock, &err),
                         ETCD_E_PRECONDITION);
    lock = acquire(&real, "x", 0);
    assert_int_equal(etcd_lock_release(lock, -1, &err), ETCD_E_INVALID_ARGUMENT); /* freed all the same */
    assert_true(real_wait_keys(&real, "x/", 0, 2000));
    real_close(&real);
}

static void try_lock(void **state)
{
    struct real a = open_real(), b = open_real();
    etcd_lock *lock = acquire(&a, "try", 0), *other = NULL;
    etcd_lock_opts opts = ETCD_LOCK_OPTS_INIT;
    etcd_error err;

    (void)state;
    opts.try_lock = true;
    opts.allow_caller_drive = true;
    assert_int_equal(etcd_lock_acquire(b.client, etcd_cstr("try"), &opts, &other, &err), ETCD_E_BUSY);
    assert_non_null(strstr(err.message, "\"try\""));
    assert_null(other);
    assert_int_equal(real_keys(&b, "try/"), 1);
    assert_int_equal(real_leases(&b), 1);
    release(lock);
    assert_int_equal(etcd_lock_acquire(b.client, etcd_cstr("try"), &opts, &other, &err), ETCD_OK);
    release(other);
    real_close(&a);
    real_close(&b);
}

static void waiting_has_an_end(void **state)
{
    struct real a = open_real(), b = open_real();
    etcd_lock *lock = acquire(&a, "busy", 0), *other = NULL;
    int64_t start = test_now_ms();
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lock_acquire(b.client, etcd_cstr("busy"),
                                       ETCD_LOCK_OPTS(.timeout_ms = 300, .allow_caller_drive = true), &other,
                                       &err),
                     ETCD_E_DEADLINE);
    assert_true(test_now_ms() - start >= 300);
    assert_non_null(strstr(err.message, (const char *)etcd_lock_key(lock).data)); /* says who was before us */
    assert_int_equal(real_keys(&a, "busy/"), 1);
    assert_true(etcd_lock_held(lock));
    release(lock);
    real_close(&a);
    real_close(&b);
}

/* ---- several --------------------------------------------------------------------------------------- */

struct contender {
    pthread_t thread;
    const char *name;
    int64_t fence;
    etcd_status status;
    atomic_bool done;
    struct real real;
};

static void *contend(void *arg)
{
    struct contender *c = arg;
    etcd_lock *lock = NULL;

    c->status = etcd_lock_acquire(
        c->real.client, etcd_cstr(c->name),
        ETCD_LOCK_OPTS(.timeout_ms = 20000 * ETCDC_TIME_SCALE, .ttl_s = 5, .allow_caller_drive = true), &lock,
        NULL);
    c->fence = etcd_lock_fence(lock);
    atomic_store(&c->done, true);
    (void)etcd_lock_release(lock, 0, NULL);
    return NULL;
}

static void start(struct contender *c, const char *name)
{
    memset(c, 0, sizeof(*c));
    c->name = name;
    c->real = open_real();
    assert_int_equal(pthread_create(&c->thread, NULL, contend, c), 0);
}

static void finish(struct contender *c)
{
    pthread_join(c->thread, NULL);
    real_close(&c->real);
}

static void waiters_come_in_order(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "line", 0);
    struct contender c[3];
    int64_t fence = etcd_lock_fence(lock);

    (void)state;
    for (int i = 0; i < 3; i++) {
        start(&c[i], "line");
        assert_true(real_wait_keys(&real, "line/", i + 2, 5000));
    }
    for (int i = 0; i < 3; i++)
        assert_false(atomic_load(&c[i].done));
    release(lock);
    for (int i = 0; i < 3; i++) {
        finish(&c[i]);
        assert_int_equal(c[i].status, ETCD_OK);
        assert_true(c[i].fence > fence);
        fence = c[i].fence;
    }
    assert_int_equal(real_keys(&real, "line/"), 0);
    real_close(&real);
}

static void a_name_is_not_a_prefix(void **state)
{
    struct real real = open_real();
    etcd_lock *longer = acquire(&real, "app2", 0), *below = acquire(&real, "app/x", 0), *lock;

    (void)state;
    release(longer);
    release(below);
    lock = acquire(&real, "app", 0);
    longer = acquire(&real, "app2", 0);
    release(longer);
    release(lock);
    real_close(&real);
}

/* The lease of one who waits is revoked: it must not wait on, nor believe that it got the lock. */
static void a_waiter_can_lose_its_place(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "place", 0);
    etcd_get_result *result = NULL;
    struct contender c;

    (void)state;
    start(&c, "place");
    assert_true(real_wait_keys(&real, "place/", 2, 5000));
    assert_int_equal(etcd_get(real.client, etcd_cstr("place/"),
                              ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                                            .sort_order = ETCD_SORT_DESCEND, .limit = 1),
                              &result, NULL),
                     ETCD_OK);
    assert_int_equal(etcd_lease_revoke(real.client, etcd_get_result_kv(result, 0)->lease_id, NULL, NULL),
                     ETCD_OK);
    etcd_get_result_free(result);
    finish(&c); /* at the latest when the next renewal tells; nobody released anything */
    assert_int_equal(c.status, ETCD_E_LEASE_LOST);
    assert_true(etcd_lock_held(lock));
    release(lock);
    real_close(&real);
}

/* The one in the middle of the line goes: who is behind it waits on, for the holder. */
static void a_gap_in_the_line_lets_nobody_through(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "gap", 0);
    struct contender middle, last;
    etcd_get_result *result = NULL;

    (void)state;
    start(&middle, "gap");
    assert_true(real_wait_keys(&real, "gap/", 2, 5000));
    assert_int_equal(etcd_get(real.client, etcd_cstr("gap/"),
                              ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                                            .sort_order = ETCD_SORT_DESCEND, .limit = 1),
                              &result, NULL),
                     ETCD_OK);
    start(&last, "gap");
    assert_true(real_wait_keys(&real, "gap/", 3, 5000));
    assert_int_equal(etcd_lease_revoke(real.client, etcd_get_result_kv(result, 0)->lease_id, NULL, NULL),
                     ETCD_OK);
    etcd_get_result_free(result);
    finish(&middle);
    assert_int_equal(middle.status, ETCD_E_LEASE_LOST);
    real_idle(&real, 200);
    assert_false(atomic_load(&last.done));
    assert_true(etcd_lock_held(lock));
    release(lock);
    finish(&last);
    assert_int_equal(last.status, ETCD_OK);
    real_close(&real);
}

/* Each lock is a session of its own, also of one client: the second is somebody else's. */
static void two_locks_of_a_client_exclude_each_other(void **state)
{
    struct real real = open_real();
    etcd_lock *first = acquire(&real, "twice", 0), *second = NULL;

    (void)state;
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("twice"),
                                       ETCD_LOCK_OPTS(.try_lock = true, .allow_caller_drive = true), &second,
                                       NULL),
                     ETCD_E_BUSY);
    assert_true(etcd_lock_held(first));
    release(first);
    second = acquire(&real, "twice", 0);
    release(second);
    assert_int_equal(real_leases(&real), 0);
    real_close(&real);
}

static void waits_can_be_cancelled(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "cancel", 0);
    struct contender c;

    (void)state;
    start(&c, "cancel");
    assert_true(real_wait_keys(&real, "cancel/", 2, 5000));
    etcd_client_cancel_waits(c.real.client);
    finish(&c);
    assert_int_equal(c.status, ETCD_E_CANCELLED);
    assert_int_equal(real_keys(&real, "cancel/"), 1);

    etcd_client_cancel_waits(real.client); /* the lock is not given up by that */
    real_idle(&real, 100);
    assert_true(etcd_lock_held(lock));
    release(lock);
    real_close(&real);
}

/* ---- loss ------------------------------------------------------------------------------------------ */

struct loss {
    atomic_int calls;
    etcd_status status;
};

static void on_lost(etcd_lock *lock, etcd_status status, const etcd_error *err, void *user_data)
{
    struct loss *loss = user_data;

    (void)lock;
    loss->status = status;
    assert_int_equal(err->status, status);
    atomic_fetch_add(&loss->calls, 1);
}

static bool was_lost(void *arg)
{
    struct loss *loss = arg;

    return atomic_load(&loss->calls) > 0;
}

static etcd_lock *acquire_watched(struct real *real, const char *name, int64_t ttl_s, struct loss *loss)
{
    etcd_lock *lock = NULL;
    etcd_error err;

    memset(loss, 0, sizeof(*loss));
    assert_false(real_failed(etcd_lock_acquire(real->client, etcd_cstr(name),
                                               ETCD_LOCK_OPTS(.ttl_s = ttl_s, .on_lost = on_lost,
                                                              .user_data = loss, .allow_caller_drive = true),
                                               &lock, &err),
                             &err));
    return lock;
}

static void a_revoked_lease_is_noticed(void **state)
{
    struct real real = open_real(), other = open_real();
    struct loss loss;
    etcd_lock *lock = acquire_watched(&real, "revoked", 60, &loss);
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lease_revoke(other.client, etcd_lock_lease_id(lock), NULL, NULL), ETCD_OK);
    assert_true(real_wait(&real, was_lost, &loss, 1000));
    assert_int_equal(loss.status, ETCD_E_LEASE_LOST);
    assert_false(etcd_lock_held(lock));
    assert_int_equal(etcd_lock_release(lock, 0, &err), ETCD_E_LEASE_LOST);
    assert_non_null(strstr(err.message, "\"revoked\""));
    assert_int_equal(atomic_load(&loss.calls), 1);
    real_close(&real);
    real_close(&other);
}

static void a_deleted_key_is_noticed(void **state)
{
    struct real real = open_real();
    struct loss loss;
    etcd_lock *lock = acquire_watched(&real, "deleted", 60, &loss);

    (void)state;
    assert_int_equal(
        etcd_delete(real.client, etcd_cstr("deleted/"), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL),
        ETCD_OK);
    assert_true(real_wait(&real, was_lost, &loss, 1000));
    assert_false(etcd_lock_held(lock));
    assert_int_equal(etcd_lock_release(lock, 0, NULL), ETCD_E_LEASE_LOST);
    assert_int_equal(real_leases(&real), 0);
    real_close(&real);
}

/* Not even where the news of the loss has not come: only a key that we created is deleted. */
static void release_leaves_others_alone(void **state)
{
    struct real real = open_real(), other = open_real();
    etcd_lock *lock = acquire(&real, "others", 60);
    char key[64];

    (void)state;
    snprintf(key, sizeof(key), "%s", (const char *)etcd_lock_key(lock).data);
    assert_int_equal(etcd_delete(other.client, etcd_cstr(key), NULL, NULL, NULL), ETCD_OK);
    assert_int_equal(etcd_put(other.client, etcd_cstr(key), etcd_cstr("mine"), NULL, NULL, NULL), ETCD_OK);
    assert_int_equal(etcd_lock_release(lock, 0, NULL), ETCD_E_LEASE_LOST);
    assert_int_equal(real_keys(&real, key), 1);
    assert_int_equal(etcd_delete(other.client, etcd_cstr(key), NULL, NULL, NULL), ETCD_OK);
    real_close(&real);
    real_close(&other);
}

static void a_closed_client_loses_its_locks(void **state)
{
    struct real real = open_real(), other = open_real();
    struct loss loss;
    etcd_lock *lock = acquire_watched(&real, "closed", 2, &loss);

    (void)state;
    assert_int_equal(etcd_client_close(real.client, NULL), ETCD_OK);
    assert_false(etcd_lock_held(lock));
    assert_true(real_wait(&real, was_lost, &loss, 2000));
    assert_int_equal(loss.status, ETCD_E_CLOSED);
    assert_int_equal(etcd_lock_release(lock, 0, NULL), ETCD_E_CLOSED);
    assert_int_equal(atomic_load(&loss.calls), 1);

    lock = acquire(&other, "closed", 60); /* when the lease has run out */
    assert_int_equal(etcd_client_close(other.client, NULL), ETCD_OK);
    assert_int_equal(etcd_lock_release(lock, 0, NULL), ETCD_E_CLOSED); /* whether the news has come or not */
    real_close(&real);
    real_close(&other);
}

/* ---- etcdctl --------------------------------------------------------------------------------------- */

/* Runs `program file` under a lock of etcdctl's. It takes no options: etcdctl would take them for its own. */
static pid_t start_etcdctl_lock(const char *name, const char *program, const char *file)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "ETCDCTL_API=3", NULL};
    const char *argv[] = {NULL, "--endpoints", NULL, "lock", name, program, file, NULL};
    struct etcd_binary binary;

    assert_true(etcd_binary_find(test_version(), &binary));
    argv[0] = binary.etcdctl;
    argv[2] = etcd_server_endpoints(server);
    return process_start(argv, env, etcd_server_file(server, "etcdctl.log"));
}

static bool file_exists(void *arg)
{
    return access(arg, F_OK) == 0;
}

static void etcdctl_waits_for_us(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "ctl-waits", 0);
    char flag[256];
    pid_t pid;

    (void)state;
    snprintf(flag, sizeof(flag), "%s", etcd_server_file(server, "got-it"));
    pid = start_etcdctl_lock("ctl-waits", "touch", flag);
    assert_true(pid > 0);
    assert_true(real_wait_keys(&real, "ctl-waits/", 2, 10000));
    real_idle(&real, 200);
    assert_false(file_exists(flag));
    release(lock);
    assert_true(real_wait(&real, file_exists, flag, 10000));
    assert_int_equal(process_wait(pid), 0);
    real_close(&real);
}

/* A shell script that goes on until there is a file of this name. */
static bool write_script(const char *path, const char *flag)
{
    FILE *out = fopen(path, "we");

    if (out == NULL)
        return false;
    fprintf(out, "while [ ! -e %s ]; do sleep 0.05; done\n", flag);
    return fclose(out) == 0;
}

static void we_wait_for_etcdctl(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = NULL;
    char flag[256], script[256];
    etcd_error err;
    pid_t pid;

    (void)state;
    snprintf(flag, sizeof(flag), "%s", etcd_server_file(server, "let-go"));
    snprintf(script, sizeof(script), "%s", etcd_server_file(server, "wait.sh"));
    assert_true(write_script(script, flag));
    pid = start_etcdctl_lock("ctl-holds", "sh", script);
    assert_true(pid > 0);
    assert_true(real_wait_keys(&real, "ctl-holds/", 1, 10000));
    assert_int_equal(etcd_lock_acquire(real.client, etcd_cstr("ctl-holds"),
                                       ETCD_LOCK_OPTS(.timeout_ms = 300, .allow_caller_drive = true), &lock,
                                       &err),
                     ETCD_E_DEADLINE);
    assert_true(write_script(flag, flag)); /* any file will do */
    lock = acquire(&real, "ctl-holds", 0);
    assert_int_equal(process_wait(pid), 0);
    release(lock);
    real_close(&real);
}

/* ---- processes ------------------------------------------------------------------------------------- */

static pid_t start_self(const char *what, const char *file, const char *number)
{
    const char *const argv[] = {self, what, etcd_server_endpoints(server), file, number, NULL};
    const char *drive = test_caller_drive() ? "ETCDC_TEST_DRIVE=caller" : "ETCDC_TEST_DRIVE=thread";
    const char *const env[] = {"PATH=/usr/bin:/bin", drive, NULL};

    return process_start(argv, env, etcd_server_file(server, "children.log"));
}

static long read_number(const char *file)
{
    FILE *in = fopen(file, "re");
    long number = 0;

    if (in == NULL || fscanf(in, "%ld", &number) != 1)
        number = -1;
    if (in != NULL)
        fclose(in);
    return number;
}

static bool write_number(const char *file, long number)
{
    FILE *out = fopen(file, "we");

    if (out == NULL)
        return false;
    fprintf(out, "%ld\n", number);
    return fclose(out) == 0;
}

/* What no process may do at the same time as another. */
static bool increment(const char *file)
{
    long number = read_number(file);

    return number >= 0 && write_number(file, number + 1);
}

static int child_increments(const char *endpoints, const char *file, int count)
{
    etcd_lock_opts opts = ETCD_LOCK_OPTS_INIT;
    struct real real;
    etcd_error err;
    bool ok;

    opts.timeout_ms = 100000;
    opts.allow_caller_drive = true;
    ok = real_open(&real, endpoints);
    for (int i = 0; i < count && ok; i++) {
        etcd_lock *lock = NULL;

        ok = !real_failed(etcd_lock_acquire(real.client, etcd_cstr("counter"), &opts, &lock, &err), &err) &&
             increment(file);
        ok = !real_failed(etcd_lock_release(lock, 0, &err), &err) && ok;
    }
    real_close(&real);
    return ok ? 0 : 1;
}

static int child_holds(const char *endpoints, const char *file, int ttl_s)
{
    etcd_lock *lock = NULL;
    struct real real;
    etcd_error err;

    if (!real_open(&real, endpoints) ||
        real_failed(etcd_lock_acquire(real.client, etcd_cstr("crash"),
                                      ETCD_LOCK_OPTS(.ttl_s = ttl_s, .allow_caller_drive = true), &lock,
                                      &err),
                    &err) ||
        !write_number(file, 1))
        return 1;
    for (;;)
        real_idle(&real, 1000); /* until it is killed */
}

static void processes_exclude_each_other(void **state)
{
    pid_t pids[PROCESSES];
    char file[256], count[16];
    struct real real = open_real();

    (void)state;
    snprintf(file, sizeof(file), "%s", etcd_server_file(server, "counter"));
    snprintf(count, sizeof(count), "%d", INCREMENTS);
    assert_true(write_number(file, 0));
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = start_self("increments", file, count);
        assert_true(pids[i] > 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        if (process_wait(pids[i]) != 0)
            print_tail(etcd_server_file(server, "children.log"), 20);
    }
    assert_int_equal(read_number(file), PROCESSES * INCREMENTS);
    assert_int_equal(real_keys(&real, "counter/"), 0);
    real_close(&real);
}

static void a_killed_holder_is_followed(void **state)
{
    enum { TTL_S = 2 };
    struct real real = open_real();
    etcd_lock *lock;
    char file[256];
    int64_t killed;
    pid_t pid;

    (void)state;
    snprintf(file, sizeof(file), "%s", etcd_server_file(server, "held"));
    pid = start_self("holds", file, "2");
    assert_true(real_wait(&real, file_exists, file, 10000));
    real_idle(&real, TTL_S * 1500); /* it is renewed meanwhile */
    assert_int_equal(real_keys(&real, "crash/"), 1);
    killed = test_now_ms();
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)process_wait(pid);
    lock = acquire(&real, "crash", 0);
    assert_true(test_now_ms() - killed <= (TTL_S + 1) * 1000 * ETCDC_TIME_SCALE);
    release(lock);
    real_close(&real);
}

/* ---- a server that is away ------------------------------------------------------------------------- */

static void a_stopped_server_does_not_hold_us_up(void **state)
{
    struct real real = open_real();
    etcd_lock *lock = acquire(&real, "warm", 0), *other = NULL;
    int64_t start;
    etcd_status st;

    (void)state;
    assert_true(etcd_server_pause(server, 0));
    start = test_now_ms();
    st = etcd_lock_acquire(real.client, etcd_cstr("stopped"),
                           ETCD_LOCK_OPTS(.timeout_ms = 1000, .allow_caller_drive = true), &other, NULL);
    assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
    assert_true(test_now_ms() - start <= 1500 * ETCDC_TIME_SCALE);
    start = test_now_ms();
    st = etcd_lock_release(lock, 500, NULL);
    assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
    assert_true(test_now_ms() - start <= 1000 * ETCDC_TIME_SCALE);
    assert_true(etcd_server_resume(server, 0));
    assert_true(
        real_wait_keys(&real, "warm/", 0, 1000)); /* told as soon as it listens, long before its TTL */
    assert_int_equal(real_keys(&real, "stopped/"), 0);
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

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "waits_can_be_cancelled",
    NULL,
};

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acquire_and_release),
        cmocka_unit_test(a_minute_is_the_default),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(try_lock),
        cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(waiters_come_in_order),
        cmocka_unit_test(a_name_is_not_a_prefix),
        cmocka_unit_test(a_waiter_can_lose_its_place),
        cmocka_unit_test(a_gap_in_the_line_lets_nobody_through),
        cmocka_unit_test(two_locks_of_a_client_exclude_each_other),
        cmocka_unit_test(waits_can_be_cancelled),
        cmocka_unit_test(a_revoked_lease_is_noticed),
        cmocka_unit_test(a_deleted_key_is_noticed),
        cmocka_unit_test(release_leaves_others_alone),
        cmocka_unit_test(a_closed_client_loses_its_locks),
        cmocka_unit_test(etcdctl_waits_for_us),
        cmocka_unit_test(we_wait_for_etcdctl),
        cmocka_unit_test(processes_exclude_each_other),
        cmocka_unit_test(a_killed_holder_is_followed),
        cmocka_unit_test(a_stopped_server_does_not_hold_us_up),
    };

    if (argc == 5 && strcmp(argv[1], "increments") == 0)
        return child_increments(argv[2], argv[3], atoi(argv[4]));
    if (argc == 5 && strcmp(argv[1], "holds") == 0)
        return child_holds(argv[2], argv[3], atoi(argv[4]));
    self = argv[0];
    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, start_server, stop_server);
}
