/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/snapshot.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>

enum { KEYS = 40, STEPS = 400, BATCH_MAX = 12 };

/* ---- building blocks ------------------------------------------------------------------------------- */

static etcd_event put_of(const char *key, const char *value, int64_t revision)
{
    return (etcd_event){
        .kv = {.key = etcd_cstr(key), .value = etcd_cstr(value), .mod_revision = revision, .version = 1},
        .type = ETCD_EVENT_PUT,
    };
}

static etcd_event delete_of(const char *key, int64_t revision)
{
    return (etcd_event){.kv = {.key = etcd_cstr(key), .mod_revision = revision}, .type = ETCD_EVENT_DELETE};
}

static struct etcd_snapshot *empty(int64_t revision)
{
    struct etcd__pairs pairs = {0};

    return etcd__snapshot_new(&pairs, revision);
}

/*
 * The snapshot after `before`, whose reference goes with it; NULL, and `before` as it was, when out of
 * memory.
 */
static struct etcd_snapshot *step(struct etcd_snapshot *before, const etcd_event *events, size_t count)
{
    struct etcd__changes changes = {0};
    struct etcd_snapshot *next = NULL;
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++)
        ok = etcd__changes_add(&changes, &events[i]);
    if (ok && etcd__changes_seal(&changes))
        next = etcd__snapshot_next(before, &changes);
    if (next == NULL)
        etcd__changes_deinit(&changes);
    else
        etcd__snapshot_inherit(before, &changes);
    return next;
}

/* "a=1 b=2" */
static void has(const struct etcd_snapshot *snapshot, const char *expected)
{
    char text[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < etcd_snapshot_count(snapshot); i++) {
        const etcd_kv *kv = etcd_snapshot_at(snapshot, i);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s=%.*s", i == 0 ? "" : " ",
                                 (int)kv->key.len, (const char *)kv->key.data, (int)kv->value.len,
                                 (const char *)kv->value.data);
        assert_ptr_equal(etcd_snapshot_find(snapshot, kv->key), kv);
    }
    assert_string_equal(text, expected);
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static void null_and_empty(void **state)
{
    struct etcd_snapshot *snapshot = empty(7);

    (void)state;
    has(snapshot, "");
    assert_int_equal(etcd_snapshot_revision(snapshot), 7);
    assert_null(etcd_snapshot_at(snapshot, 0));
    assert_null(etcd_snapshot_find(snapshot, etcd_cstr("a")));
    assert_null(etcd_snapshot_find(snapshot, etcd_cstr(NULL)));
    etcd_snapshot_free(snapshot);
    etcd_snapshot_free(NULL);
    assert_int_equal(etcd_snapshot_count(NULL), 0);
    assert_int_equal(etcd_snapshot_revision(NULL), 0);
    assert_null(etcd_snapshot_at(NULL, 0));
    assert_null(etcd_snapshot_find(NULL, etcd_cstr("a")));
}

static void batches_apply_in_order(void **state)
{
    struct etcd_snapshot *s = empty(1);
    etcd_event first[] = {put_of("b", "1", 2), put_of("d", "2", 3), put_of("a", "3", 4)};
    etcd_event second[] = {put_of("b", "4", 5), delete_of("d", 6), put_of("c", "5", 7), put_of("d", "6", 8)};
    etcd_event third[] = {put_of("a", "7", 9), delete_of("a", 10), delete_of("x", 11)};
    etcd_event fourth[] = {delete_of("b", 12), delete_of("c", 12), delete_of("d", 12)};

    (void)state;
    s = step(s, first, 3);
    has(s, "a=3 b=1 d=2");
    assert_int_equal(etcd_snapshot_revision(s), 4);
    s = step(s, second, 4);
    has(s, "a=3 b=4 c=5 d=6");
    s = step(s, third, 3);
    has(s, "b=4 c=5 d=6");
    assert_int_equal(etcd_snapshot_revision(s), 11);
    s = step(s, fourth, 3);
    has(s, "");
    etcd_snapshot_free(s);
}

static void keys_are_bytes(void **state)
{
    struct etcd_snapshot *s = empty(1);
    etcd_event events[] = {
        {.kv = {.key = etcd_bytes_of("a\0b", 3), .value = etcd_bytes_of("\0", 1), .mod_revision = 2}},
        {.kv = {.key = etcd_bytes_of("a", 1), .mod_revision = 3}},
        {.kv = {.key = etcd_bytes_of("\xff", 1), .mod_revision = 4}},
        {.kv = {.key = etcd_bytes_of("a\0", 2), .mod_revision = 5}},
    };
    const etcd_kv *kv;

    (void)state;
    s = step(s, events, 4);
    assert_int_equal(etcd_snapshot_count(s), 4);
    assert_int_equal(etcd_snapshot_at(s, 0)->key.len, 1);
    assert_int_equal(etcd_snapshot_at(s, 1)->key.len, 2);
    assert_int_equal(etcd_snapshot_at(s, 3)->mod_revision, 4);
    kv = etcd_snapshot_find(s, etcd_bytes_of("a\0b", 3));
    assert_non_null(kv);
    assert_int_equal(kv->value.len, 1);
    assert_int_equal(((const char *)kv->value.data)[1], '\0');
    assert_int_equal(((const char *)kv->key.data)[3], '\0');
    etcd_snapshot_free(s);
}

/* Whoever holds a snapshot keeps seeing it as it was, and shares what did not change. */
static void old_snapshots_stay(void **state)
{
    struct etcd_snapshot *s = empty(1), *held;
    etcd_event first[] = {put_of("a", "1", 2), put_of("b", "1", 3), put_of("c", "1", 4)};
    etcd_event second[] = {put_of("b", "2", 5), delete_of("c", 6)};
    etcd_event third[] = {delete_of("a", 7), put_of("d", "3", 8)};

    (void)state;
    s = step(s, first, 3);
    held = etcd__snapshot_ref(s);
    s = step(s, second, 2);
    assert_ptr_equal(etcd_snapshot_at(held, 0), etcd_snapshot_at(s, 0));
    s = step(s, third, 2);
    has(held, "a=1 b=1 c=1");
    has(s, "b=2 d=3");
    etcd_snapshot_free(held);
    has(s, "b=2 d=3");
    etcd_snapshot_free(s);
}

/* ---- against a model ------------------------------------------------------------------------------- */

struct model {
    char values[KEYS][16]; /* "": absent */
};

static unsigned chance(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void agrees(const struct etcd_snapshot *snapshot, const struct model *model)
{
    size_t at = 0;

    for (int k = 0; k < KEYS; k++) {
        const etcd_kv *kv = etcd_snapshot_at(snapshot, at);
        char key[16];

        if (model->values[k][0] == '\0')
            continue;
        snprintf(key, sizeof(key), "k%02d", k);
        assert_non_null(kv);
        assert_string_equal((const char *)kv->key.data, key);
        assert_string_equal((const char *)kv->value.data, model->values[k]);
        at++;
    }
    assert_int_equal(at, etcd_snapshot_count(snapshot));
}

static void random_batches_agree(void **state)
{
    static char keys[KEYS][16];
    static struct model models[STEPS + 1];
    struct etcd_snapshot *s = empty(1), *held[STEPS + 1] = {NULL};
    char values[BATCH_MAX][16];
    etcd_event events[BATCH_MAX];
    int64_t revision = 1;
    unsigned seed = 42;

    (void)state;
    for (int k = 0; k < KEYS; k++)
        snprintf(keys[k], sizeof(keys[k]), "k%02d", k);
    for (int i = 1; i <= STEPS; i++) {
        unsigned count = 1 + chance(&seed, BATCH_MAX);

        models[i] = models[i - 1];
        for (unsigned e = 0; e < count; e++) {
            unsigned k = chance(&seed, KEYS);

            revision++;
            snprintf(values[e], sizeof(values[e]), "v%d", (int)revision);
            events[e] = chance(&seed, 3) == 0 ? delete_of(keys[k], revision)
                                              : put_of(keys[k], values[e], revision);
            snprintf(models[i].values[k], sizeof(models[i].values[k]), "%s",
                     events[e].type == ETCD_EVENT_PUT ? values[e] : "");
        }
        s = step(s, events, count);
        assert_int_equal(etcd_snapshot_revision(s), revision);
        if (chance(&seed, 4) == 0)
            held[i] = etcd__snapshot_ref(s);
        agrees(s, &models[i]);
    }
    for (int i = 1; i <= STEPS; i++) {
        if (held[i] != NULL)
            agrees(held[i], &models[i]);
        etcd_snapshot_free(held[i]);
    }
    etcd_snapshot_free(s);
}

/* ---- readers on other threads ---------------------------------------------------------------------- */

struct shelf {
    pthread_mutex_t mutex;
    struct etcd_snapshot *current;
    atomic_bool stop;
};

static void *read_on(void *arg)
{
    struct shelf *shelf = arg;
    size_t sum = 0;

    while (!atomic_load(&shelf->stop)) {
        struct etcd_snapshot *s;

        pthread_mutex_lock(&shelf->mutex);
        s = etcd__snapshot_ref(shelf->current);
        pthread_mutex_unlock(&shelf->mutex);
        for (size_t i = 0; i < etcd_snapshot_count(s); i++)
            sum += etcd_snapshot_at(s, i)->value.len;
        etcd_snapshot_free(s);
    }
    return sum == SIZE_MAX ? arg : NULL;
}

static void readers_meet_whole_snapshots(void **state)
{
    struct shelf shelf = {.mutex = PTHREAD_MUTEX_INITIALIZER, .current = empty(1)};
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &shelf), 0);
    for (int i = 0; i < 3000; i++) {
        const char *key = keys[(size_t)i % ETCD__COUNT(keys)];
        etcd_event event = i % 7 == 0 ? delete_of(key, i + 2) : put_of(key, "value", i + 2);
        struct etcd__changes changes = {0};
        struct etcd_snapshot *before, *next;

        assert_true(etcd__changes_add(&changes, &event) && etcd__changes_seal(&changes));
        next = etcd__snapshot_next(shelf.current, &changes);
        assert_non_null(next);
        pthread_mutex_lock(&shelf.mutex);
        before = shelf.current;
        shelf.current = next;
        pthread_mutex_unlock(&shelf.mutex);
        etcd__snapshot_inherit(before, &changes);
    }
    atomic_store(&shelf.stop, true);
    for (size_t i = 0; i < ETCD__COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    etcd_snapshot_free(shelf.current);
}

/* ---- out of memory --------------------------------------------------------------------------------- */

static void build_and_step(size_t n, void *user)
{
    etcd_event events[] = {put_of("b", "2", 5), delete_of("c", 6), put_of("d", "1", 7), put_of("b", "3", 8)};
    etcd_kv a = put_of("a", "1", 2).kv, c = put_of("c", "1", 3).kv;
    struct etcd__pairs pairs = {0};
    struct etcd_snapshot *s, *next;

    (void)n;
    (void)user;
    if (!etcd__pairs_add(&pairs, &a) || !etcd__pairs_add(&pairs, &c)) {
        etcd__pairs_deinit(&pairs);
        return;
    }
    s = etcd__snapshot_new(&pairs, 3);
    if (s == NULL)
        return;
    next = step(s, events, 4);
    has(next == NULL ? s : next, next == NULL ? "a=1 c=1" : "a=1 b=3 d=1");
    etcd_snapshot_free(next == NULL ? s : next);
}

static void survives_out_of_memory(void **state)
{
    size_t live = alloc_live();

    (void)state;
    assert_true(alloc_fail_each(build_and_step, NULL) >= 7);
    assert_int_equal(alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_and_empty),         cmocka_unit_test(batches_apply_in_order),
        cmocka_unit_test(keys_are_bytes),         cmocka_unit_test(old_snapshots_stay),
        cmocka_unit_test(random_batches_agree),   cmocka_unit_test(readers_meet_whole_snapshots),
        cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
