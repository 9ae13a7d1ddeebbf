/* SPDX-License-Identifier: Apache-2.0 */
/* Puts, deletions, counters by compare and swap, and reads; and whether what was told of them is true. */
#include "support/chaos_world.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Keys: c/k/<n> is put all the time, c/d/<number of the deletion> is put and deleted once, c/n/<n> counts. A
 * value is the number of its write; a counter's has the count in front of it.
 */
enum kind { PUT, DELETE, COUNT };

static struct chaos_write *new_write(struct chaos *chaos, enum kind kind, size_t *ret_number)
{
    struct chaos_write *write;

    *ret_number = atomic_fetch_add(&chaos->next_write, 1);
    if (*ret_number >= CHAOS_WRITES_MAX)
        return NULL;
    write = &chaos->writes[*ret_number];
    write->kind = (uint8_t)kind;
    write->begun = true;
    return write;
}

static void end_write(struct chaos_actor *actor, struct chaos_write *write, const char *what,
                      int64_t begin_ms, int64_t timeout_ms, etcd_status status, const etcd_error *err)
{
    write->status = status;
    write->flags = status == ETCD_OK ? 0 : (uint8_t)err->flags;
    write->ended = true;
    chaos_called(actor->chaos, what, begin_ms, timeout_ms, status, err);
}

static int64_t draw_timeout(struct chaos_actor *actor)
{
    return 300 + (int64_t)chaos_draw(&actor->random, 2200);
}

static bool put(struct chaos_actor *actor, const char *key, int64_t timeout_ms, int64_t *ret_revision)
{
    size_t number;
    struct chaos_write *write = new_write(actor->chaos, PUT, &number);
    etcd_put_result *result = NULL;
    int64_t begin_ms = test_now_ms();
    char value[24];
    etcd_status st;
    etcd_error err;

    if (write == NULL)
        return false;
    (void)snprintf(value, sizeof(value), "%zu", number);
    st = etcd_put(actor->client, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = timeout_ms),
                  &result, &err);
    if (st == ETCD_OK)
        *ret_revision = write->revision = etcd_put_result_header(result)->revision;
    etcd_put_result_free(result);
    end_write(actor, write, "put", begin_ms, timeout_ms, st, &err);
    return st == ETCD_OK;
}

static void put_and_delete(struct chaos_actor *actor)
{
    int64_t timeout_ms = draw_timeout(actor), begin_ms, unused;
    struct chaos_write *write;
    etcd_delete_result *result = NULL;
    size_t number;
    char key[24];
    etcd_status st;
    etcd_error err;

    write = new_write(actor->chaos, DELETE, &number);
    if (write == NULL)
        return;
    write->begun = false; /* until there is something to delete */
    (void)snprintf(key, sizeof(key), "c/d/%zu", number);
    if (!put(actor, key, timeout_ms, &unused))
        return;
    write->begun = true;
    begin_ms = test_now_ms();
    st = etcd_delete(actor->client, etcd_cstr(key), ETCD_DELETE_OPTS(.timeout_ms = timeout_ms), &result,
                     &err);
    if (st == ETCD_OK) {
        write->revision = etcd_delete_result_header(result)->revision;
        if (etcd_delete_result_deleted(result) != 1)
            chaos_broken(actor->chaos, "%s was deleted, and was not there", key);
    }
    etcd_delete_result_free(result);
    end_write(actor, write, "delete", begin_ms, timeout_ms, st, &err);
}

void chaos_step_write(struct chaos_actor *actor)
{
    size_t which = (size_t)chaos_draw(&actor->random, CHAOS_KEYS);
    int64_t revision;
    char key[16];

    if (chaos_draw(&actor->random, 5) == 0) {
        put_and_delete(actor);
    } else {
        (void)snprintf(key, sizeof(key), "c/k/%zu", which);
        if (put(actor, key, draw_timeout(actor), &revision))
            chaos_raise(&actor->chaos->floors[which], revision);
    }
    chaos_rest(actor, 2 + (int64_t)chaos_draw(&actor->random, 10));
}

/* ---- counters -------------------------------------------------------------------------------------- */

static etcd_status commit(struct chaos_actor *actor, const char *key, const char *value, int64_t expected,
                          int64_t timeout_ms, struct chaos_write *write, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_status st;

    etcd_txn_if(txn, etcd_cstr(key), ETCD_CMP_MOD_REVISION, ETCD_CMP_EQUAL, expected);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr(value), NULL);
    etcd_txn_get(txn, ETCD_TXN_ELSE, etcd_cstr(key), NULL);
    st = etcd_txn_commit(actor->client, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), &result, err);
    if (st == ETCD_OK) {
        write->refused = !etcd_txn_result_succeeded(result);
        write->revision = etcd_txn_result_header(result)->revision;
    }
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return st;
}

void chaos_step_count(struct chaos_actor *actor)
{
    int64_t timeout_ms = draw_timeout(actor), begin_ms = test_now_ms(), expected = 0, count = 0;
    struct chaos_write *write;
    etcd_get_result *read = NULL;
    size_t number;
    char key[16], value[48];
    etcd_status st;
    etcd_error err;

    (void)snprintf(key, sizeof(key), "c/n/%zu", (size_t)chaos_draw(&actor->random, CHAOS_COUNTERS));
    st = etcd_get(actor->client, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = timeout_ms), &read, &err);
    chaos_called(actor->chaos, "get", begin_ms, timeout_ms, st, &err);
    if (st == ETCD_OK && etcd_get_result_count(read) == 1) {
        expected = etcd_get_result_kv(read, 0)->mod_revision;
        count = strtoll(etcd_get_result_kv(read, 0)->value.data, NULL, 10);
    }
    etcd_get_result_free(read);
    write = st == ETCD_OK ? new_write(actor->chaos, COUNT, &number) : NULL;
    if (write != NULL) {
        (void)snprintf(value, sizeof(value), "%" PRId64 " %zu", count + 1, number);
        begin_ms = test_now_ms();
        st = commit(actor, key, value, expected, timeout_ms, write, &err);
        end_write(actor, write, "txn", begin_ms, timeout_ms, st, &err);
    }
    chaos_rest(actor, 2 + (int64_t)chaos_draw(&actor->random, 10));
}

/* ---- reads ----------------------------------------------------------------------------------------- */

void chaos_step_read(struct chaos_actor *actor)
{
    size_t which = (size_t)chaos_draw(&actor->random, CHAOS_KEYS);
    bool serializable = chaos_draw(&actor->random, 3) == 0;
    int64_t timeout_ms = draw_timeout(actor), floor = atomic_load(&actor->chaos->floors[which]), found = 0;
    int64_t begin_ms = test_now_ms();
    etcd_get_result *result = NULL;
    char key[16];
    etcd_status st;
    etcd_error err;

    (void)snprintf(key, sizeof(key), "c/k/%zu", which);
    st = etcd_get(actor->client, etcd_cstr(key),
                  ETCD_GET_OPTS(.timeout_ms = timeout_ms, .serializable = serializable), &result, &err);
    if (st == ETCD_OK && etcd_get_result_count(result) == 1)
        found = etcd_get_result_kv(result, 0)->mod_revision;
    etcd_get_result_free(result);
    chaos_called(actor->chaos, serializable ? "serializable get" : "get", begin_ms, timeout_ms, st, &err);
    if (st == ETCD_OK && !serializable) {
        if (found < floor)
            chaos_broken(actor->chaos, "a read of %s went back from revision %" PRId64 " to %" PRId64, key,
                         floor, found);
        chaos_raise(&actor->chaos->floors[which], found);
    }
    chaos_rest(actor, 2 + (int64_t)chaos_draw(&actor->random, 10));
}

int64_t chaos_last_writes(struct chaos *chaos, etcd_client *client)
{
    struct chaos_actor actor = {.chaos = chaos, .client = client};
    int64_t last = 0;

    for (size_t i = 0; i < CHAOS_KEYS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "c/k/%zu", i);
        if (!put(&actor, key, (int64_t)5000 * ETCDC_TIME_SCALE, &last))
            chaos_broken(chaos, "all members are well, and a put fails");
    }
    return last;
}

/* ---- the judge ------------------------------------------------------------------------------------- */

static void count_up(struct chaos *chaos, const char *text, int64_t *counter)
{
    int64_t count = strtoll(text, NULL, 10);

    if (count != *counter + 1)
        chaos_broken(chaos, "a counter went from %" PRId64 " to %" PRId64, *counter, count);
    *counter = count;
}

void chaos_count_event(struct chaos *chaos, const etcd_event *event, int64_t counters[CHAOS_COUNTERS])
{
    const char *key = event->kv.key.data, *text = event->kv.value.data;
    enum kind kind = event->type == ETCD_EVENT_DELETE ? DELETE : PUT;
    size_t number;

    if (event->kv.key.len < 5 || strncmp(key, "c/", 2) != 0)
        return; /* of a lease or lock */
    if (key[2] == 'n') {
        kind = COUNT;
        count_up(chaos, text, &counters[strtoul(key + 4, NULL, 10) % CHAOS_COUNTERS]);
        text = strchr(text, ' ') + 1;
    }
    number = strtoul(kind == DELETE ? key + 4 : text, NULL, 10);
    if (number >= CHAOS_WRITES_MAX || chaos->writes[number].kind != kind) {
        chaos_broken(chaos, "the history has a write %zu that nobody made", number);
        return;
    }
    chaos->writes[number].seen++;
    if (chaos->writes[number].ended && chaos->writes[number].status == ETCD_OK &&
        chaos->writes[number].revision != event->kv.mod_revision)
        chaos_broken(chaos, "write %zu was told to be revision %" PRId64 " and is %" PRId64, number,
                     chaos->writes[number].revision, event->kv.mod_revision);
}

static const char *lie_of(const struct chaos_write *write)
{
    bool maybe = (write->flags & ETCD_ERROR_MAYBE_APPLIED) != 0;
    bool retryable = (write->flags & ETCD_ERROR_RETRYABLE) != 0;

    if (!write->begun)
        return write->seen > 0 ? "never made, and there" : NULL;
    if (!write->ended)
        return "never ended";
    if (write->seen > 1)
        return "done twice";
    if (write->status == ETCD_OK)
        return write->seen == (write->refused ? 1 : 0) ? "success, and the history says otherwise" : NULL;
    if (write->seen == 1 && !maybe)
        return "there, and not said to be";
    return maybe == retryable ? "either it may be there, or it can be tried again" : NULL;
}

void chaos_judge_writes(struct chaos *chaos)
{
    static const char *const kinds[] = {"put", "delete", "count"};
    size_t count = atomic_load(&chaos->next_write), done = 0, doubtful = 0, there = 0;

    for (size_t i = 0; i < count && i < CHAOS_WRITES_MAX; i++) {
        const struct chaos_write *write = &chaos->writes[i];
        const char *lie = lie_of(write);
        bool maybe = (write->flags & ETCD_ERROR_MAYBE_APPLIED) != 0;

        if (lie != NULL)
            chaos_broken(chaos, "write %zu (%s, %s, flags %u, seen %u): %s", i, kinds[write->kind],
                         etcd_status_name(write->status), (unsigned)write->flags, (unsigned)write->seen, lie);
        done += write->ended && write->status == ETCD_OK ? 1 : 0;
        doubtful += maybe ? 1 : 0;
        there += maybe && write->seen == 1 ? 1 : 0;
    }
    if (done < 50)
        chaos_broken(chaos, "nothing was tested: only %zu writes succeeded", done);
    printf("chaos: %zu writes, %zu done, %zu in doubt of which %zu done\n", count, done, doubtful, there);
}
