/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prefix of etcd as a source of configuration.
 *
 * The view (etcdc/view.h) keeps what stands below the prefix, whatever happens to servers and to the history.
 * A worker of the host takes it from there: it waits until changes have settled, and gives the host the whole
 * content at one revision. What the host refuses is not tried again before it changes.
 *
 *   start: load and take --> settled: wait for a change --> wait until it settles --> take --> settled ...
 *                               |
 *                               +-- the view has ended --> wait for a server --> load and take --> settled
 * ...
 */
#include "source.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "capp/source.h"
#include "etcdc/view.h"

#include <string.h>
#include <time.h>

enum {
    RETRY_MAX_MS = 30000,
    LOOK_MS = 5000, /* how often it is asked whether a server is there */
    SHOWN_MAX = 192,
};

/* ---- time ------------------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_until_locked(struct capp__etcd_source *source, int64_t until_ms)
{
    struct timespec at = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    pthread_cond_timedwait(&source->shared.changed, &source->shared.mutex, &at);
}

/* ---- from pairs to entries ------------------------------------------------------------------------- */

static bool cut_end(const char *key, size_t *len)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};

    for (size_t i = 0; i < ETCD__COUNT(ends); i++) {
        size_t end = strlen(ends[i]);

        if (*len >= end && memcmp(key + *len - end, ends[i], end) == 0) {
            *len -= end;
            return true;
        }
    }
    return false;
}

/* "http/timeout" to "http.timeout"; NULL when out of memory. A NUL makes it no key at all. */
static char *key_of(struct etcd__arena *arena, const char *text, size_t len)
{
    char *key = etcd__arena_memdup(arena, text, memchr(text, '\0', len) != NULL ? 0 : len);

    for (char *at = key; at != NULL && *at != '\0'; at++)
        *at = *at == '/' ? '.' : *at;
    return key;
}

static const char *place_of(const struct capp__etcd_source *source, struct etcd__arena *arena,
                            const etcd_kv *kv)
{
    char shown[SHOWN_MAX], place[SHOWN_MAX + 160];
    size_t len = etcd__format(place, sizeof(place), "%s:%s (revision %lld)", source->name,
                              etcd__escape_controls(shown, sizeof(shown), kv->key.data, kv->key.len),
                              (long long)kv->mod_revision);

    return etcd__arena_memdup(arena, place, len);
}

static bool fill_entry(const struct capp__etcd_source *source, struct etcd__arena *arena, const etcd_kv *kv,
                       capp_source_entry *entry)
{
    size_t skip = strlen(source->prefix), len = kv->key.len - skip;
    const char *rest = (const char *)kv->key.data + skip;

    entry->flags = cut_end(rest, &len) ? CAPP_SOURCE_DOCUMENT : 0;
    if (entry->flags != 0 && len > 0 && rest[len - 1] == '/')
        len--; /* "http/.yaml" is laid where "http.yaml" is */
    entry->key = key_of(arena, rest, len);
    entry->value = (const char *)kv->value.data;
    entry->value_len = kv->value.len;
    entry->place = place_of(source, arena, kv);
    return entry->key != NULL && entry->place != NULL;
}

/* An empty value under the bare prefix is how some tools make a folder. */
static bool is_folder(const struct capp__etcd_source *source, const etcd_kv *kv)
{
    return kv->key.len == strlen(source->prefix) && kv->value.len == 0;
}

static capp_status give(struct capp__etcd_source *source, const etcd_snapshot *snapshot, capp_error *error)
{
    struct etcd__arena arena = {0};
    size_t count = etcd_snapshot_count(snapshot), used = 0;
    capp_source_entry *entries = etcd__arena_calloc(&arena, count + 1, sizeof(*entries));
    bool ok = entries != NULL;
    capp_status status;

    for (size_t i = 0; i < count && ok; i++) {
        const etcd_kv *kv = etcd_snapshot_at(snapshot, i);

        if (!is_folder(source, kv))
            ok = fill_entry(source, &arena, kv, &entries[used++]);
    }
    if (ok)
        status = capp_source_set(source->source, entries, used, error);
    else
        status = capp_fail(error, CAPP_E_NO_MEMORY, "out of memory");
    etcd__arena_deinit(&arena);
    return status;
}

/* ---- taking what is there -------------------------------------------------------------------------- */

static capp_status refused(struct capp__etcd_source *source, int64_t revision, capp_error *error)
{
    char stays[64] = "";

    if (source->revision != 0)
        etcd__format(stays, sizeof(stays), "; revision %lld stays", (long long)source->revision);
    capp_error_prefix(error, "%s:%s at revision %lld is not taken", source->name, source->prefix,
                      (long long)revision);
    capp_log(source->logger, CAPP_LOG_WARN, "etcd", "%s%s", error->message, stays);
    return error->status;
}

/* Has the content taken (again) after a while, unless it changes before. */
static void take_later_locked(struct capp__etcd_source *source, int64_t delay_ms)
{
    source->shared.dirty = true;
    source->shared.first_ms = source->shared.last_ms = now_ms() + delay_ms;
    pthread_cond_signal(&source->shared.changed);
}

/* What is wrong stays wrong until it changes; what was only not to be had now is tried again. */
static void note_outcome(struct capp__etcd_source *source, capp_status status, const capp_error *error)
{
    pthread_mutex_lock(&source->shared.mutex);
    etcd__format(source->shared.refusal, sizeof(source->shared.refusal), "%s",
                 status == CAPP_OK ? "" : error->message);
    if ((status == CAPP_E_NO_MEMORY || status == CAPP_E_IO) && !source->shared.dirty)
        take_later_locked(source, CAPP__ETCD_RETRY_MIN_MS);
    pthread_mutex_unlock(&source->shared.mutex);
}

/* Makes the newest content current. What is wrong with it has been logged. */
static capp_status take(struct capp__etcd_source *source, capp_error *error)
{
    etcd_snapshot *snapshot;
    int64_t revision;

    pthread_mutex_lock(&source->shared.mutex);
    source->shared.dirty = false; /* what comes from now on comes again */
    pthread_mutex_unlock(&source->shared.mutex);
    snapshot = etcd_view_snapshot(source->view);
    revision = etcd_snapshot_revision(snapshot);
    capp_status status = give(source, snapshot, error);
    if (status == CAPP_OK) {
        source->revision = revision;
        capp_log(source->logger, CAPP_LOG_INFO, "etcd", "%s:%s is current at revision %lld, %zu keys",
                 source->name, source->prefix, (long long)revision, etcd_snapshot_count(snapshot));
    } else {
        status = refused(source, revision, error);
    }
    etcd_snapshot_free(snapshot);
    note_outcome(source, status, error);
    return status;
}

/* On the loop's thread: only takes notice. */
static void on_change(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                      const etcd_error *err, void *user_data)
{
    struct capp__etcd_source *source = user_data;

    (void)view;
    (void)events;
    pthread_mutex_lock(&source->shared.mutex);
    source->shared.last_ms = now_ms();
    if (snapshot == NULL) {
        source->shared.ended = true;
        source->shared.error = *err;
    } else if (!source->shared.dirty) {
        source->shared.dirty = true;
        source->shared.first_ms = source->shared.last_ms;
    }
    pthread_cond_signal(&source->shared.changed);
    pthread_mutex_unlock(&source->shared.mutex);
}

static void set_followed(struct capp__etcd_source *source, bool followed)
{
    pthread_mutex_lock(&source->shared.mutex);
    source->shared.followed = followed;
    pthread_mutex_unlock(&source->shared.mutex);
}

static etcd_status load(struct capp__etcd_source *source, etcd_error *err)
{
    pthread_mutex_lock(&source->shared.mutex);
    source->shared.ended = source->shared.dirty = false;
    pthread_mutex_unlock(&source->shared.mutex);
    etcd_status st = etcd_view_open(
        source->client, etcd_cstr(source->prefix),
        ETCD_VIEW_OPTS(.timeout_ms = source->load_timeout_ms, .on_change = on_change, .user_data = source),
        &source->view, err);
    set_followed(source, st == ETCD_OK);
    return st;
}

/* ---- the worker ------------------------------------------------------------------------------------ */

/* Says when no server is reached, and when one is again; a short loss is the client's own affair. */
static void look_for_server(struct capp__etcd_source *source)
{
    bool ready = etcd_client_state_now(source->client) == ETCD_CLIENT_READY;

    if (!ready && source->missing == 1)
        capp_log(source->logger, CAPP_LOG_WARN, "etcd", "%s:%s: no server is reached, what it said stays",
                 source->name, source->prefix);
    if (ready && source->missing > 1)
        capp_log(source->logger, CAPP_LOG_INFO, "etcd", "%s:%s: a server is reached again", source->name,
                 source->prefix);
    source->missing = ready ? 0 : source->missing + (source->missing < 2);
}

/* Waits for something to do, or to settle; false when it is time to look for a server. */
static bool await_work_locked(struct capp__etcd_source *source, int64_t look_ms)
{
    while (!source->shared.quit && !source->shared.ended) {
        int64_t until_ms = source->shared.last_ms + source->settle_ms;

        if (until_ms > source->shared.first_ms + CAPP__ETCD_BEHIND_MAX_MS)
            until_ms = source->shared.first_ms + CAPP__ETCD_BEHIND_MAX_MS;
        if (!source->shared.dirty)
            until_ms = look_ms;
        if (now_ms() >= until_ms)
            return source->shared.dirty;
        wait_until_locked(source, until_ms);
    }
    return true;
}

/* True when a change has settled; false when the view has ended, or the application does. */
static bool await_change(struct capp__etcd_source *source)
{
    for (;;) {
        pthread_mutex_lock(&source->shared.mutex);
        bool work = await_work_locked(source, now_ms() + LOOK_MS);
        bool settled = work && !source->shared.quit && !source->shared.ended;
        pthread_mutex_unlock(&source->shared.mutex);
        if (work)
            return settled;
        look_for_server(source);
    }
}

/* Sleeps; false when the application stops. */
static bool pause_before_retry(struct capp__etcd_source *source)
{
    int64_t until_ms = now_ms() + source->retry_ms;

    source->retry_ms = source->retry_ms > RETRY_MAX_MS / 2 ? RETRY_MAX_MS : source->retry_ms * 2;
    pthread_mutex_lock(&source->shared.mutex);
    while (!source->shared.quit && now_ms() < until_ms)
        wait_until_locked(source, until_ms);
    bool quit = source->shared.quit;
    pthread_mutex_unlock(&source->shared.mutex);
    return !quit;
}

/* Waits for a server, which a load cannot be called away from. */
static etcd_status await_server(struct capp__etcd_source *source, etcd_error *err)
{
    etcd_op *op = NULL;
    etcd_status st = ETCD_E_CANCELLED;

    pthread_mutex_lock(&source->shared.mutex);
    if (!source->shared.quit)
        st = etcd_client_wait_ready_async(source->client, 0, NULL, NULL, &op, err);
    source->shared.op = op;
    pthread_mutex_unlock(&source->shared.mutex);
    if (op == NULL)
        return st;
    st = etcd_op_wait(op, ETCD_TIMEOUT_NONE, err);
    if (st == ETCD_OK)
        st = etcd_op_status(op, err);
    pthread_mutex_lock(&source->shared.mutex);
    source->shared.op = NULL;
    pthread_mutex_unlock(&source->shared.mutex);
    etcd_op_free(op);
    return st;
}

static bool load_again(struct capp__etcd_source *source)
{
    capp_error error;
    etcd_error err;
    etcd_status st = await_server(source, &err);

    if (st == ETCD_OK)
        st = load(source, &err);
    if (st != ETCD_OK) {
        if (st != ETCD_E_CANCELLED)
            capp_log(source->logger, CAPP_LOG_DEBUG, "etcd", "%s:%s: %s", source->name, source->prefix,
                     err.message);
        return false;
    }
    source->retry_ms = CAPP__ETCD_RETRY_MIN_MS;
    (void)take(source, &error);
    return true;
}

/* The view has ended: says so, once, unless it is the application that ends. */
static void drop_view(struct capp__etcd_source *source)
{
    if (source->view == NULL)
        return;
    etcd_view_close(source->view);
    source->view = NULL;
    pthread_mutex_lock(&source->shared.mutex);
    source->shared.followed = false;
    etcd_error err = source->shared.error;
    pthread_mutex_unlock(&source->shared.mutex);
    if (err.status != ETCD_E_CANCELLED && err.status != ETCD_E_CLOSED)
        capp_log(source->logger, CAPP_LOG_WARN, "etcd", "%s:%s is not followed, what it said stays: %s",
                 source->name, source->prefix, err.message);
}

static bool must_quit(struct capp__etcd_source *source)
{
    pthread_mutex_lock(&source->shared.mutex);
    bool quit = source->shared.quit;
    pthread_mutex_unlock(&source->shared.mutex);
    return quit;
}

capp_status capp__etcd_source_follow(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct capp__etcd_source *source = user_data;
    capp_error error;

    (void)worker;
    (void)reterr;
    while (!must_quit(source)) {
        if (source->view != NULL && await_change(source)) {
            (void)take(source, &error);
            continue;
        }
        if (must_quit(source))
            break;
        drop_view(source);
        if (pause_before_retry(source))
            (void)load_again(source);
    }
    return CAPP_OK;
}

capp_status capp__etcd_source_reload(void *self, capp_error *reterr)
{
    struct capp__etcd_source *source = self;

    (void)reterr;
    pthread_mutex_lock(&source->shared.mutex);
    if (source->shared.refusal[0] != '\0' && !source->shared.dirty)
        take_later_locked(source, 0);
    pthread_mutex_unlock(&source->shared.mutex);
    return CAPP_OK;
}

void capp__etcd_source_health(void *self, capp_health *health)
{
    struct capp__etcd_source *source = self;

    pthread_mutex_lock(&source->shared.mutex);
    if (!source->shared.followed)
        capp_health_set(health, CAPP_HEALTH_DEGRADED, "%s is not followed; what it said stays",
                        source->prefix);
    else if (source->shared.refusal[0] != '\0')
        capp_health_set(health, CAPP_HEALTH_DEGRADED, "%s", source->shared.refusal);
    pthread_mutex_unlock(&source->shared.mutex);
}

void capp__etcd_source_quit(void *user_data)
{
    struct capp__etcd_source *source = user_data;

    pthread_mutex_lock(&source->shared.mutex);
    source->shared.quit = true;
    pthread_cond_signal(&source->shared.changed);
    if (source->shared.op != NULL)
        etcd_op_cancel(source->shared.op);
    pthread_mutex_unlock(&source->shared.mutex);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static capp_status first_load(struct capp__etcd_source *source, capp_error *error)
{
    etcd_error err;

    if (load(source, &err) == ETCD_OK)
        return take(source, error);
    (void)capp_error_from_etcd(&err, error);
    capp_error_prefix(error, "%s:%s cannot be loaded", source->name, source->prefix);
    if (source->policy == CAPP_ETCD_SOURCE_OPTIONAL)
        capp_log(source->logger, CAPP_LOG_WARN, "etcd", "%s; going on without it, and trying again",
                 error->message);
    return error->status;
}

capp_status capp__etcd_source_start(void *self, capp_error *reterr)
{
    struct capp__etcd_source *source = self;
    capp_error error = {0};
    capp_status status = first_load(source, &error);

    if (status != CAPP_OK && source->policy == CAPP_ETCD_SOURCE_REQUIRED) {
        if (reterr != NULL)
            *reterr = error;
        return status;
    }
    return CAPP_OK;
}

capp_status capp__etcd_source_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    struct capp__etcd_source *source = self;

    (void)limit_ms;
    (void)reterr;
    etcd_view_close(source->view);
    source->view = NULL;
    return CAPP_OK;
}
