/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model behind the simulation against the real thing: the same seeded script through the same client,
 * once with each. What the client is told must be the same, revisions counted from the script's first.
 */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/sim_cluster.h"
#include "support/test.h"

#include "runtime/loop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KEYS = 8,
    LEASES = 3,
    STEPS = 160,
    SCRIPTS = 4,
    TEXT_MAX = 1 << 20,
    FIRST_LEASE = 4000,
    CALL_MS = 20000
};

struct script {
    etcd_client *client;
    uint64_t chance;
    int64_t base, head; /* the store's revision before the first step, and the newest told of since */
    int64_t compacted;  /* relative */
    char *text;         /* what the client was told */
    size_t len;
};

static uint64_t pick(struct script *script, uint64_t n)
{
    return sim_chance(&script->chance, n);
}

static bool maybe(struct script *script, uint64_t n)
{
    return pick(script, n) == 0;
}

static void say(struct script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct script *script, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(script->text + script->len, TEXT_MAX - script->len, format, args);
    va_end(args);
    assert_true(len >= 0 && script->len + (size_t)len < TEXT_MAX);
    script->len += (size_t)len;
}

static int64_t relative(const struct script *script, int64_t revision)
{
    return revision == 0 ? 0 : revision - script->base;
}

static void say_header(struct script *script, const etcd_header *header)
{
    script->head = relative(script, header->revision);
    say(script, " @%" PRId64, script->head);
}

static void say_kv(struct script *script, const etcd_kv *kv)
{
    if (kv == NULL)
        say(script, " -");
    else
        say(script, " [%.*s=%.*s c%" PRId64 " m%" PRId64 " v%" PRId64 " l%" PRId64 "]", (int)kv->key.len,
            (const char *)kv->key.data, (int)kv->value.len, (const char *)kv->value.data,
            relative(script, kv->create_revision), relative(script, kv->mod_revision), kv->version,
            kv->lease_id);
}

static bool say_status(struct script *script, etcd_status status, const etcd_error *err)
{
    say(script, ": %s", etcd_status_name(status));
    if (status == ETCD_E_DEADLINE || status == ETCD_E_UNAVAILABLE)
        fail_msg("%s", err->message);
    if (status != ETCD_OK && err->revision != 0)
        say(script, " %" PRId64, relative(script, err->revision));
    return status == ETCD_OK;
}

static const char *any_key(struct script *script, char dst[8])
{
    (void)snprintf(dst, 8, "k/%c", (char)('a' + (char)pick(script, KEYS)));
    return dst;
}

static int64_t any_lease(struct script *script)
{
    return FIRST_LEASE + (int64_t)pick(script, LEASES);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static etcd_put_opts any_put(struct script *script)
{
    etcd_put_opts opts = ETCD_PUT_OPTS_INIT;

    opts.timeout_ms = CALL_MS;
    opts.prev_kv = maybe(script, 3);
    opts.ignore_value = maybe(script, 8);
    opts.ignore_lease = maybe(script, 8);
    if (!opts.ignore_lease && maybe(script, 3))
        opts.lease_id = any_lease(script);
    return opts;
}

static etcd_bytes any_value(struct script *script, const etcd_put_opts *opts, char dst[16])
{
    (void)snprintf(dst, 16, "v%u", (unsigned)pick(script, 1000));
    return etcd_cstr(opts->ignore_value ? NULL : dst);
}

static void do_put(struct script *script)
{
    char key[8], value[16];
    etcd_put_opts opts = any_put(script);
    etcd_put_result *result = NULL;
    etcd_error err;

    any_key(script, key);
    say(script, "put %s%s%s l%" PRId64, key, opts.ignore_value ? " same value" : "",
        opts.ignore_lease ? " same lease" : "", opts.lease_id);
    if (say_status(
            script,
            etcd_put(script->client, etcd_cstr(key), any_value(script, &opts, value), &opts, &result, &err),
            &err)) {
        say_header(script, etcd_put_result_header(result));
        say_kv(script, etcd_put_result_prev_kv(result));
    }
    etcd_put_result_free(result);
}

/* A single key, a prefix, everything from a key on, or a range. */
static unsigned any_form(struct script *script)
{
    return (unsigned)pick(script, 5);
}

static etcd_delete_opts any_delete(struct script *script)
{
    etcd_delete_opts opts = ETCD_DELETE_OPTS_INIT;
    unsigned form = any_form(script);

    opts.timeout_ms = CALL_MS;
    opts.prev_kv = maybe(script, 2);
    if (form == 1)
        opts.range_end = etcd_cstr("k/d");
    opts.from_key = form == 2 && maybe(script, 3);
    return opts;
}

static void say_delete(struct script *script, const etcd_delete_result *result)
{
    say_header(script, etcd_delete_result_header(result));
    say(script, " %" PRId64, etcd_delete_result_deleted(result));
    for (size_t i = 0; i < etcd_delete_result_prev_count(result); i++)
        say_kv(script, etcd_delete_result_prev_kv(result, i));
}

static void do_delete(struct script *script)
{
    char key[8];
    etcd_delete_opts opts = any_delete(script);
    etcd_delete_result *result = NULL;
    etcd_error err;

    any_key(script, key);
    say(script, "delete %s..%.*s%s", key, (int)opts.range_end.len, (const char *)opts.range_end.data,
        opts.from_key ? "end" : "");
    if (say_status(script, etcd_delete(script->client, etcd_cstr(key), &opts, &result, &err), &err))
        say_delete(script, result);
    etcd_delete_result_free(result);
}

static int64_t any_bound(struct script *script)
{
    return maybe(script, 6) ? script->base + 1 + (int64_t)pick(script, (uint64_t)script->head + 2) : 0;
}

static etcd_get_opts any_get(struct script *script, bool in_txn)
{
    static const etcd_sort_target targets[] = {ETCD_SORT_BY_KEY, ETCD_SORT_BY_VERSION,
                                               ETCD_SORT_BY_CREATE_REVISION, ETCD_SORT_BY_MOD_REVISION,
                                               ETCD_SORT_BY_VALUE};
    static const etcd_sort_order orders[] = {ETCD_SORT_NONE, ETCD_SORT_ASCEND, ETCD_SORT_DESCEND};
    etcd_get_opts opts = ETCD_GET_OPTS_INIT;
    unsigned form = any_form(script);

    opts.timeout_ms = CALL_MS;
    opts.prefix = form <= 1;
    opts.from_key = form == 2;
    if (form == 3)
        opts.range_end = etcd_cstr("k/f");
    opts.limit = maybe(script, 3) ? 1 + (int64_t)pick(script, 4) : 0;
    opts.revision = maybe(script, 4) ? script->base + (int64_t)pick(script, (uint64_t)script->head + 3) : 0;
    opts.min_mod_revision = any_bound(script);
    opts.max_mod_revision = any_bound(script);
    opts.min_create_revision = any_bound(script);
    opts.max_create_revision = any_bound(script);
    opts.sort_target = targets[pick(script, 5)];
    opts.sort_order = orders[pick(script, 3)];
    opts.keys_only = maybe(script, 5);
    opts.count_only = maybe(script, 8);
    opts.serializable = !in_txn && maybe(script, 5);
    return opts;
}

static void say_get(struct script *script, const etcd_get_result *result)
{
    say_header(script, etcd_get_result_header(result));
    say(script, " total %" PRId64 "%s", etcd_get_result_total(result),
        etcd_get_result_more(result) ? " more" : "");
    for (size_t i = 0; i < etcd_get_result_count(result); i++)
        say_kv(script, etcd_get_result_kv(result, i));
}

static void do_get(struct script *script)
{
    char key[8];
    etcd_get_opts opts = any_get(script, false);
    etcd_get_result *result = NULL;
    etcd_error err;

    any_key(script, key);
    if (opts.prefix)
        key[2] = '\0';
    say(script, "get %s%s limit %" PRId64 " at %" PRId64 " sort %d %d", key,
        opts.prefix     ? "..."
        : opts.from_key ? "..end"
                        : "",
        opts.limit, relative(script, opts.revision), (int)opts.sort_target, (int)opts.sort_order);
    if (say_status(script, etcd_get(script->client, etcd_cstr(key), &opts, &result, &err), &err))
        say_get(script, result);
    etcd_get_result_free(result);
}

static void do_compact(struct script *script)
{
    int64_t revision = 1 + (int64_t)pick(script, (uint64_t)script->head + 3);
    etcd_error err;

    say(script, "compact %" PRId64, revision);
    if (say_status(script,
                   etcd_compact(script->client, script->base + revision,
                                ETCD_COMPACT_OPTS(.timeout_ms = CALL_MS), &err),
                   &err))
        script->compacted = revision;
}

/* ---- transactions ---------------------------------------------------------------------------------- */

static void add_comparison(struct script *script, etcd_txn *txn)
{
    static const etcd_cmp_target targets[] = {ETCD_CMP_VERSION, ETCD_CMP_CREATE_REVISION,
                                              ETCD_CMP_MOD_REVISION, ETCD_CMP_LEASE};
    etcd_cmp cmp = (etcd_cmp)pick(script, 4);
    etcd_cmp_target target = targets[pick(script, 4)];
    char key[8], value[16];
    int64_t number = (int64_t)pick(script, 4);

    any_key(script, key);
    if (target == ETCD_CMP_CREATE_REVISION || target == ETCD_CMP_MOD_REVISION)
        number = maybe(script, 2) ? 0 : script->base + 1 + (int64_t)pick(script, (uint64_t)script->head + 1);
    if (target == ETCD_CMP_LEASE)
        number = maybe(script, 2) ? 0 : any_lease(script);
    (void)snprintf(value, sizeof(value), "v%u", (unsigned)pick(script, 1000));
    if (maybe(script, 4))
        etcd_txn_if_value(txn, etcd_cstr(key), cmp, etcd_cstr(value));
    else
        etcd_txn_if(txn, etcd_cstr(key), target, cmp, number);
    if (maybe(script, 4))
        etcd_txn_if_range(txn, etcd_cstr("k/z"));
}

/* No key is written twice. */
static void add_operations(struct script *script, etcd_txn *txn, etcd_txn_branch branch, char first)
{
    char key[8] = "k/a", value[16];
    etcd_put_opts put = any_put(script);
    etcd_get_opts get = any_get(script, true);

    key[2] = first;
    if (!maybe(script, 4))
        etcd_txn_put(txn, branch, etcd_cstr(key), any_value(script, &put, value), &put);
    etcd_txn_get(txn, branch, etcd_cstr("k/"), &get);
    key[2] = (char)(first + 1);
    if (maybe(script, 2))
        etcd_txn_delete(txn, branch, etcd_cstr(key), ETCD_DELETE_OPTS(.prev_kv = true));
    if (maybe(script, 2))
        etcd_txn_get(txn, branch, etcd_cstr(key), NULL);
}

static void say_txn(struct script *script, const etcd_txn_result *result)
{
    say(script, " %s {", etcd_txn_result_succeeded(result) ? "then" : "else");
    for (size_t i = 0; i < etcd_txn_result_count(result); i++) {
        switch (etcd_txn_result_kind(result, i)) {
        case ETCD_TXN_KIND_PUT:
            say(script, " put");
            say_header(script, etcd_put_result_header(etcd_txn_result_put(result, i)));
            say_kv(script, etcd_put_result_prev_kv(etcd_txn_result_put(result, i)));
            break;
        case ETCD_TXN_KIND_GET:
            say(script, " get");
            say_get(script, etcd_txn_result_get(result, i));
            break;
        case ETCD_TXN_KIND_DELETE:
            say(script, " delete");
            say_delete(script, etcd_txn_result_delete(result, i));
            break;
        default:
            say(script, " txn");
            say_txn(script, etcd_txn_result_nested(result, i));
            break;
        }
    }
    say(script, " }");
}

static void do_txn(struct script *script)
{
    etcd_txn *txn = etcd_txn_new(), *nested = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_error err;

    for (uint64_t count = pick(script, 3); count > 0; count--)
        add_comparison(script, txn);
    add_operations(script, txn, ETCD_TXN_THEN, 'a');
    add_operations(script, txn, ETCD_TXN_ELSE, 'c');
    add_comparison(script, nested);
    add_operations(script, nested, ETCD_TXN_THEN, 'e');
    add_operations(script, nested, ETCD_TXN_ELSE, 'g');
    if (maybe(script, 3))
        etcd_txn_nest(txn, ETCD_TXN_THEN, nested);
    say(script, "txn");
    if (say_status(script,
                   etcd_txn_commit(script->client, txn, ETCD_TXN_OPTS(.timeout_ms = CALL_MS), &result, &err),
                   &err)) {
        say_txn(script, result);
        say_header(script, etcd_txn_result_header(result));
    }
    etcd_txn_result_free(result);
    etcd_txn_free(nested);
    etcd_txn_free(txn);
}

/* ---- leases ---------------------------------------------------------------------------------------- */

static void do_lease(struct script *script)
{
    int64_t id = any_lease(script);
    const etcd_lease_opts *opts = ETCD_LEASE_OPTS(.timeout_ms = CALL_MS, .keys = true);
    etcd_lease lease = {.id = 0};
    etcd_ttl_result *ttl = NULL;
    etcd_error err;

    switch (pick(script, 4)) {
    case 0:
        say(script, "revoke %" PRId64, id);
        (void)say_status(script, etcd_lease_revoke(script->client, id, opts, &err), &err);
        break;
    case 1:
        say(script, "ttl %" PRId64, id);
        if (say_status(script, etcd_lease_time_to_live(script->client, id, opts, &ttl, &err), &err))
            say(script, " of %" PRId64 ", %zu keys", etcd_ttl_result_granted_ttl_s(ttl),
                etcd_ttl_result_key_count(ttl));
        etcd_ttl_result_free(ttl);
        break;
    default:
        say(script, "grant %" PRId64, id);
        if (say_status(script,
                       etcd_lease_grant(script->client, 1000 + (int64_t)pick(script, 1000),
                                        ETCD_LEASE_OPTS(.timeout_ms = CALL_MS, .id = id), &lease, &err),
                       &err))
            say(script, " %" PRId64 " %" PRId64, lease.id, lease.ttl_s);
        break;
    }
}

static void say_short_ttl(struct script *script)
{
    etcd_lease lease = {.id = 0};
    etcd_error err;

    say(script, "grant of a second");
    if (say_status(script, etcd_lease_grant(script->client, 1, ETCD_LEASE_OPTS(.id = 77), &lease, &err),
                   &err))
        say(script, " %" PRId64, lease.ttl_s);
    (void)say_status(script, etcd_lease_revoke(script->client, 77, NULL, &err), &err);
    say(script, "\n");
}

/* ---- watches --------------------------------------------------------------------------------------- */

static int64_t put_marker(struct script *script)
{
    etcd_put_result *result = NULL;
    etcd_error err;

    assert_int_equal(etcd_put(script->client, etcd_cstr("k/y"), etcd_cstr("end"), NULL, &result, &err),
                     ETCD_OK);
    say_header(script, etcd_put_result_header(result));
    etcd_put_result_free(result);
    return script->head;
}

static int64_t delete_marker(struct script *script)
{
    etcd_delete_result *result = NULL;
    etcd_error err;

    assert_int_equal(etcd_delete(script->client, etcd_cstr("k/y"), NULL, &result, &err), ETCD_OK);
    say_header(script, etcd_delete_result_header(result));
    etcd_delete_result_free(result);
    return script->head;
}

/* How the answers are cut into batches is up to the server; whole revisions they are in any case. */
static void say_events(struct script *script, etcd_watch *watch, int64_t last)
{
    etcd_events *events = NULL;
    etcd_error err;
    int64_t at = 0;

    while (at < last) {
        etcd_status st = etcd_watch_next(watch, CALL_MS, &events, &err);

        if (!say_status(script, st, &err))
            return;
        for (size_t i = 0; i < etcd_events_count(events); i++) {
            const etcd_event *event = etcd_events_at(events, i);

            at = relative(script, event->kv.mod_revision);
            say(script, event->type == ETCD_EVENT_PUT ? "\n  put" : "\n  delete");
            say_kv(script, &event->kv);
            say_kv(script, event->prev_kv);
        }
        etcd_events_free(events);
        say(script, "\n ");
    }
}

static void do_watch(struct script *script)
{
    etcd_watch_opts opts = ETCD_WATCH_OPTS_INIT;
    int64_t start = 1 + (int64_t)pick(script, (uint64_t)script->head + 1), put, deleted;
    etcd_watch *watch = NULL;
    etcd_error err;

    /* Whether a deletion at the very revision of the compaction is still told of differs between versions. */
    if (start == script->compacted)
        start++;
    opts.start_revision = script->base + start;
    opts.prefix = true;
    opts.prev_kv = maybe(script, 2);
    opts.no_put = maybe(script, 4);
    opts.no_delete = !opts.no_put && maybe(script, 4);
    opts.no_fragment = maybe(script, 2);
    say(script, "watch from %" PRId64 "%s%s", start, opts.no_put ? " deletes" : "",
        opts.no_delete ? " puts" : "");
    assert_int_equal(etcd_watch_open(script->client, etcd_cstr("k/"), &opts, &watch, &err), ETCD_OK);
    put = put_marker(script);
    deleted = delete_marker(script);
    say_events(script, watch, opts.no_delete ? put : deleted);
    etcd_watch_close(watch);
}

/* ---- the script ------------------------------------------------------------------------------------ */

static void begin(struct script *script, etcd_client *client, uint64_t seed)
{
    etcd_delete_result *result = NULL;
    etcd_error err;

    *script = (struct script){.client = client, .chance = seed, .text = calloc(1, TEXT_MAX)};
    assert_non_null(script->text);
    for (int64_t id = FIRST_LEASE; id < FIRST_LEASE + LEASES; id++) {
        etcd_status st = etcd_lease_revoke(client, id, NULL, &err);

        assert_true(st == ETCD_OK || st == ETCD_E_LEASE_NOT_FOUND);
    }
    if (etcd_delete(client, etcd_cstr("k/"), ETCD_DELETE_OPTS(.prefix = true), &result, &err) != ETCD_OK)
        fail_msg("%s", err.message);
    script->base = etcd_delete_result_header(result)->revision;
    etcd_delete_result_free(result);
}

/* The events of one batch end in the transcript where the server cut it; that is taken out. */
static void join_batches(char *text)
{
    static const char cut[] = "\n : ETCD_OK";
    char *at;

    while ((at = strstr(text, cut)) != NULL)
        memmove(at, at + sizeof(cut) - 1, strlen(at + sizeof(cut) - 1) + 1);
}

static char *run(etcd_client *client, uint64_t seed)
{
    struct script script;

    begin(&script, client, seed);
    say_short_ttl(&script);
    for (unsigned step = 0; step < STEPS; step++) {
        static void (*const often[])(struct script *) = {do_put,    do_put, do_put, do_put,
                                                         do_delete, do_get, do_get, do_lease,
                                                         do_lease,  do_txn, do_txn, do_get};
        uint64_t at = pick(&script, 4 * sizeof(often) / sizeof(often[0]));

        if (at == 0)
            do_compact(&script);
        else if (at <= 3)
            do_watch(&script);
        else
            often[at % (sizeof(often) / sizeof(often[0]))](&script);
        say(&script, "\n");
    }
    join_batches(script.text);
    return script.text;
}

static char *run_model(uint64_t seed)
{
    struct fake_env *env = fake_env_new(seed);
    struct sim_cluster *cluster = sim_cluster_new(env, 1, seed);
    etcd_client *client = NULL;
    etcd_loop *loop = NULL;
    etcd_error err;
    char *text;

    assert_int_equal(etcd__loop_new_env(fake_env_table(env), &loop, &err), ETCD_OK);
    assert_int_equal(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = loop), &client,
                         &err),
        ETCD_OK);
    text = run(client, seed);
    etcd_client_free(client);
    etcd_loop_free(loop);
    assert_null(cluster->broken);
    sim_cluster_free(cluster);
    fake_env_free(env);
    return text;
}

/* Shows the first line that differs. */
static void compare(uint64_t seed, const char *real, const char *model)
{
    size_t same = 0, line = 0;

    while (real[same] != '\0' && real[same] == model[same]) {
        same++;
        if (real[same - 1] == '\n')
            line = same;
    }
    if (real[same] != model[same])
        fail_msg("script %" PRIu64 ":\n etcd: %.*s\nmodel: %.*s", seed, (int)strcspn(real + line, "\n"),
                 real + line, (int)strcspn(model + line, "\n"), model + line);
}

static void test_the_model_answers_as_etcd_does(void **state)
{
    /* Between them they tell every wrong model from etcd that was tried. */
    static const uint64_t seeds[] = {4, 6, 11};
    etcd_client *client = *state;

    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        char *real = run(client, seeds[i]), *model = run_model(seeds[i]);

        compare(seeds[i], real, model);
        free(real);
        free(model);
    }
}

static struct etcd_server *server;

static int set_up(void **state)
{
    server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(server);
    *state = test_client_open(etcd_server_endpoints(server), NULL);
    return 0;
}

static int tear_down(void **state)
{
    etcd_client_free(*state);
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_model_answers_as_etcd_does, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
