/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/services.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>

struct etcd_services {
    atomic_size_t refs;
    int64_t revision;
    size_t count;
    etcd_service list[]; /* and behind them the bytes */
};

/* ---- growing --------------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes. */
static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;

    if (count < *capacity)
        return list;
    if (wanted > SIZE_MAX / 2 / size)
        return NULL;
    list = etcd__realloc(list, wanted * size);
    if (list != NULL)
        *capacity = wanted;
    return list;
}

static bool insert(struct etcd__entries *entries, size_t at, const etcd_service *service)
{
    etcd_service *list = grow(entries->list, entries->count, &entries->capacity, sizeof(*list));

    if (list == NULL)
        return false;
    entries->list = list;
    memmove(&list[at + 1], &list[at], (entries->count - at) * sizeof(*list));
    list[at] = *service;
    entries->count++;
    return true;
}

static bool note(struct etcd__service_changes *changes, etcd_service_event event, const etcd_service *service)
{
    etcd_service_change *list = grow(changes->list, changes->count, &changes->capacity, sizeof(*list));

    if (list == NULL)
        return false;
    changes->list = list;
    list[changes->count++] = (etcd_service_change){.service = *service, .event = event};
    return true;
}

void etcd__entries_deinit(struct etcd__entries *entries)
{
    etcd__free(entries->list);
    *entries = (struct etcd__entries){.list = NULL};
}

void etcd__service_changes_deinit(struct etcd__service_changes *changes)
{
    etcd__free(changes->list);
    *changes = (struct etcd__service_changes){.list = NULL};
}

/* ---- entries --------------------------------------------------------------------------------------- */

static int compare(etcd_bytes a, etcd_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Where the instance is, or would be. */
static bool find(const struct etcd__entries *entries, etcd_bytes instance, size_t *ret_at)
{
    size_t low = 0, high = entries->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(instance, entries->list[middle].instance);

        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *ret_at = low;
    return false;
}

/* A key that ends with the slash is no instance. */
static bool is_entry(const etcd_kv *kv, size_t dir_len)
{
    return kv->key.len != dir_len;
}

/* The entry of the service itself has no instance: its key is one byte shorter than the directory's. */
static etcd_service service_of(const etcd_kv *kv, size_t dir_len)
{
    size_t skip = kv->key.len < dir_len ? kv->key.len : dir_len;

    return (etcd_service){
        .instance = etcd_bytes_of((const char *)kv->key.data + skip, kv->key.len - skip),
        .address = kv->value,
        .lease_id = kv->lease_id,
        .mod_revision = kv->mod_revision,
    };
}

bool etcd__entries_copy(struct etcd__entries *entries, const struct etcd_services *services)
{
    if (services->count == 0)
        return true;
    entries->list = etcd__memdup(services->list, services->count * sizeof(services->list[0]));
    if (entries->list == NULL)
        return false;
    entries->count = entries->capacity = services->count;
    return true;
}

bool etcd__entries_apply(struct etcd__entries *entries, const etcd_event *event, size_t dir_len,
                         struct etcd__service_changes *changes)
{
    etcd_service service = service_of(&event->kv, dir_len);
    size_t at;
    bool found;

    if (!is_entry(&event->kv, dir_len))
        return true;
    found = find(entries, service.instance, &at);
    if (event->type == ETCD_EVENT_PUT && found) {
        entries->list[at] = service;
        return note(changes, ETCD_SERVICE_CHANGED, &service);
    }
    if (event->type == ETCD_EVENT_PUT)
        return insert(entries, at, &service) && note(changes, ETCD_SERVICE_JOINED, &service);
    if (!found)
        return true;
    if (!note(changes, ETCD_SERVICE_LEFT, &entries->list[at]))
        return false;
    entries->count--;
    memmove(&entries->list[at], &entries->list[at + 1], (entries->count - at) * sizeof(entries->list[0]));
    return true;
}

/* ---- lists ----------------------------------------------------------------------------------------- */

static char *keep(char *at, etcd_bytes *bytes)
{
    if (bytes->len > 0)
        memcpy(at, bytes->data, bytes->len);
    at[bytes->len] = '\0';
    bytes->data = at;
    return at + bytes->len + 1;
}

struct etcd_services *etcd__services_new(const struct etcd__entries *entries, int64_t revision)
{
    size_t size = sizeof(struct etcd_services) + entries->count * sizeof(etcd_service);
    struct etcd_services *services;
    char *at;

    for (size_t i = 0; i < entries->count; i++)
        size += entries->list[i].instance.len + 1 + entries->list[i].address.len + 1;
    services = etcd__malloc(size);
    if (services == NULL)
        return NULL;
    atomic_init(&services->refs, 1);
    services->revision = revision;
    services->count = entries->count;
    at = (char *)&services->list[entries->count];
    for (size_t i = 0; i < entries->count; i++) {
        services->list[i] = entries->list[i];
        at = keep(at, &services->list[i].instance);
        at = keep(at, &services->list[i].address);
    }
    return services;
}

struct etcd_services *etcd__services_ref(struct etcd_services *services)
{
    (void)atomic_fetch_add_explicit(&services->refs, 1, memory_order_relaxed);
    return services;
}

static bool same(const etcd_service *a, const etcd_service *b)
{
    return a->mod_revision == b->mod_revision && a->lease_id == b->lease_id &&
           compare(a->address, b->address) == 0;
}

bool etcd__services_compare(const struct etcd_services *before, const struct etcd_services *after,
                            struct etcd__service_changes *changes)
{
    size_t i = 0, j = 0;
    bool ok = true;

    while (ok && (i < before->count || j < after->count)) {
        const etcd_service *old = etcd_services_at(before, i), *now = etcd_services_at(after, j);
        int order = old == NULL ? 1 : now == NULL ? -1 : compare(old->instance, now->instance);

        if (order < 0)
            ok = note(changes, ETCD_SERVICE_LEFT, old);
        else if (order > 0)
            ok = note(changes, ETCD_SERVICE_JOINED, now);
        else if (!same(old, now))
            ok = note(changes, ETCD_SERVICE_CHANGED, now);
        i += order <= 0;
        j += order >= 0;
    }
    return ok;
}

size_t etcd_services_count(const etcd_services *services)
{
    return services == NULL ? 0 : services->count;
}

const etcd_service *etcd_services_at(const etcd_services *services, size_t index)
{
    return services == NULL || index >= services->count ? NULL : &services->list[index];
}

int64_t etcd_services_revision(const etcd_services *services)
{
    return services == NULL ? 0 : services->revision;
}

void etcd_services_free(etcd_services *services)
{
    if (services != NULL && atomic_fetch_sub_explicit(&services->refs, 1, memory_order_acq_rel) == 1)
        etcd__free(services);
}

/* ---- reading --------------------------------------------------------------------------------------- */

etcd_txn *etcd__services_query(const char *dir)
{
    size_t dir_len = strlen(dir);
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_bytes_of(dir, dir_len - 1), NULL);
    etcd_txn_get(txn, ETCD_TXN_THEN, etcd_bytes_of(dir, dir_len), ETCD_GET_OPTS(.prefix = true));
    return txn;
}

/* They come sorted: by key, the shortest first. */
static bool add_all(struct etcd__entries *entries, const etcd_get_result *get, size_t dir_len)
{
    for (size_t i = 0; i < etcd_get_result_count(get); i++) {
        const etcd_kv *kv = etcd_get_result_kv(get, i);
        etcd_service service = service_of(kv, dir_len);

        if (is_entry(kv, dir_len) && !insert(entries, entries->count, &service))
            return false;
    }
    return true;
}

etcd_status etcd__services_read(const etcd_txn_result *result, size_t dir_len,
                                struct etcd_services **ret_services, etcd_error *reterr)
{
    const etcd_get_result *plain = etcd_txn_result_get(result, 0);
    const etcd_get_result *below = etcd_txn_result_get(result, 1);
    struct etcd_services *services = NULL;
    struct etcd__entries entries = {.list = NULL};

    if (plain == NULL || below == NULL)
        return etcd__fail(reterr, ETCD_E_PROTOCOL, "the answer has not the two parts that were asked for");
    if (add_all(&entries, plain, dir_len) && add_all(&entries, below, dir_len))
        services = etcd__services_new(&entries, etcd_txn_result_header(result)->revision);
    etcd__entries_deinit(&entries);
    if (services == NULL)
        return etcd__fail_memory(reterr);
    *ret_services = services;
    return ETCD_OK;
}

etcd_status etcd__services_load(etcd_client *client, const char *dir, const struct etcd__limit *limit,
                                struct etcd_services **ret_services, etcd_error *reterr)
{
    etcd_txn_result *result = NULL;
    etcd_status st;
    etcd_txn *txn;
    int64_t left;

    st = etcd__limit_left(limit, &left, reterr);
    if (st != ETCD_OK)
        return st;
    txn = etcd__services_query(dir);
    st = etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = left), &result, reterr);
    etcd_txn_free(txn);
    if (st == ETCD_OK)
        st = etcd__services_read(result, strlen(dir), ret_services, reterr);
    etcd_txn_result_free(result);
    return st;
}
