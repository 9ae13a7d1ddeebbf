/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream of a backup's parts. Tried again until the first part has come, like any call that may be
 * repeated; after that its end is the end. A part that nobody waits for stops the reading, so that flow
 * control holds the server back.
 */
#include "base/str.h"
#include "client/backup.h"
#include "client/client.h"
#include "client/errors.h"
#include "client/rpc.h"
#include "wire/codec.h"
#include "wire/convert.h"

enum {
    PAUSE_FIRST_MS = 25, /* between attempts; grows by 1.6, 20 % at random */
    PAUSE_MAX_MS = 1000,
    LOGINS_MAX = 2, /* renewals of the token */
};

struct backup {
    struct etcd__feed feed;
    struct etcd__call call;
    struct etcd__outgoing outgoing;
    uint8_t request[ETCD__FRAME_HEADER]; /* an empty message */
    struct etcd__auth_waiter login;
    struct etcd__timer pause, deadline;
    int64_t deadline_ms;
    struct etcd__endpoint only;
    bool bound; /* to `only` */
    bool fail_fast;
    bool begun;   /* asked for */
    bool started; /* the first part came */
    bool failed;  /* for good: `error` says how */
    uint64_t generation;
    unsigned attempts, logins;
    char cause[192]; /* why the last attempt failed */
    etcd_error error;
};

const char etcd__backup_name[] = "backup";

static const struct etcd__method method = {"/etcdserverpb.Maintenance/Snapshot", etcd__backup_name, true};

static void proceed(struct backup *backup);

static struct backup *backup_of(struct etcd__feed *feed)
{
    return ETCD__CONTAINER(feed, struct backup, feed);
}

static struct backup *backup_of_call(struct etcd__call *call)
{
    return ETCD__CONTAINER(call, struct backup, call);
}

static struct etcd__reactor *reactor_of(const struct backup *backup)
{
    return etcd__client_reactor(backup->feed.client);
}

static void halt(struct backup *backup)
{
    (void)etcd__call_cancel(&backup->call);
    etcd__auth_unwait(&backup->login);
    etcd__timer_disarm(reactor_of(backup), &backup->pause);
    etcd__timer_disarm(reactor_of(backup), &backup->deadline);
}

/* For good. */
static void fail(struct backup *backup, const etcd_error *err)
{
    halt(backup);
    backup->error = *err;
    backup->failed = true;
    etcd__feed_fail(&backup->feed, &backup->error);
}

/* ---- parts ----------------------------------------------------------------------------------------- */

void etcd__backup_part_free(void *part)
{
    struct etcd__arena arena = ((struct etcd__backup_part *)part)->arena;

    etcd__arena_deinit(&arena);
}

static struct etcd__backup_part *decode(const uint8_t *data, size_t len, etcd_status *ret_status)
{
    struct etcd__arena arena;
    const Etcd__Pb__SnapshotResponse *answer;
    struct etcd__backup_part *part;

    etcd__arena_init(&arena, len + sizeof(*answer) + sizeof(*part) + 128);
    answer = etcd__wire_unpack(&etcd__pb__snapshot_response__descriptor, &arena, data, len, ret_status);
    part = answer == NULL ? NULL : etcd__arena_calloc(&arena, 1, sizeof(*part));
    if (part == NULL) {
        if (answer != NULL)
            *ret_status = ETCD_E_NO_MEMORY;
        etcd__arena_deinit(&arena);
        return NULL;
    }
    part->header = etcd__wire_header(answer->header);
    part->data = etcd__wire_bytes(answer->blob);
    part->remaining = answer->remaining_bytes;
    part->version = answer->version;
    part->arena = arena;
    return part;
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct backup *backup = backup_of_call(call);
    etcd_status st;
    struct etcd__backup_part *part = decode(data, len, &st);
    etcd_error err;

    if (part != NULL && !etcd__feed_reserve(&backup->feed)) {
        etcd__backup_part_free(part);
        part = NULL;
        st = ETCD_E_NO_MEMORY;
    }
    if (part == NULL) {
        (void)etcd__fail(&err, st, "%s: client '%s': %s", etcd__backup_name,
                         etcd__client_label(backup->feed.client),
                         st == ETCD_E_NO_MEMORY ? "out of memory" : "the server's answer cannot be read");
        fail(backup, &err);
        return;
    }
    backup->started = true;
    if (!etcd__feed_wanted(&backup->feed))
        etcd__call_pause(call, true);
    etcd__feed_push(&backup->feed, part);
}

/* ---- failures -------------------------------------------------------------------------------------- */

static int64_t pause_ms(const struct backup *backup)
{
    int64_t pause = PAUSE_FIRST_MS;

    for (unsigned i = 1; i < backup->attempts && pause < PAUSE_MAX_MS; i++)
        pause = pause * 8 / 5;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    return pause * (int64_t)(80 + etcd__reactor_random(reactor_of(backup), 41)) / 100;
}

static bool may_repeat(const struct backup *backup, const struct etcd__verdict *verdict)
{
    return !backup->started && !backup->fail_fast &&
           (verdict->remedy == ETCD__REMEDY_RETRY || verdict->remedy == ETCD__REMEDY_REPEAT);
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct backup *backup = backup_of_call(call);
    struct etcd_client *client = backup->feed.client;
    struct etcd__verdict verdict;
    etcd_error err;

    if (end->code == ETCD__GRPC_OK) {
        halt(backup);
        etcd__feed_end(&backup->feed);
        return;
    }
    verdict = etcd__verdict_of(end);
    (void)etcd__format(backup->cause, sizeof(backup->cause), "%s%s%s", end->endpoint,
                       end->endpoint[0] == '\0' ? "" : ": ", end->message);
    if (!backup->started && verdict.remedy == ETCD__REMEDY_LOGIN && backup->logins < LOGINS_MAX &&
        etcd__auth_reject(&client->auth, backup->generation)) {
        backup->logins++;
        proceed(backup);
    } else if (may_repeat(backup, &verdict)) {
        etcd__timer_arm(reactor_of(backup), &backup->pause, reactor_of(backup)->now_ms + pause_ms(backup));
    } else {
        (void)etcd__error_of_end(&err, client, etcd__backup_name, end, &verdict, false);
        fail(backup, &err);
    }
}

/* Why there is no connection; NULL: there is one. */
static const etcd_error *obstacle(const struct backup *backup)
{
    const struct etcd__channel *channel = backup->feed.client->channel;
    const struct etcd__subchannel *target = backup->call.target;

    if (backup->started || backup->call.sent_ms != 0)
        return NULL;
    if (target != NULL)
        return etcd__subchannel_ready(target) ? NULL : etcd__subchannel_error(target);
    return etcd__channel_connected(channel) ? NULL : etcd__channel_last_error(channel);
}

static void on_deadline(struct etcd__timer *timer)
{
    struct backup *backup = ETCD__CONTAINER(timer, struct backup, deadline);
    const etcd_error *cause = obstacle(backup);
    const char *label = etcd__client_label(backup->feed.client);
    etcd_error err;

    if (cause != NULL)
        (void)etcd__fail(&err, ETCD_E_UNAVAILABLE, "%s: client '%s': no server reached in time: %.300s",
                         etcd__backup_name, label,
                         cause->status != ETCD_OK ? cause->message : "still connecting");
    else if (backup->started)
        (void)etcd__fail(&err, ETCD_E_DEADLINE, "%s: client '%s': not all of it came in time",
                         etcd__backup_name, label);
    else
        (void)etcd__fail(&err, ETCD_E_DEADLINE, "%s: client '%s': no answer in time%s%s", etcd__backup_name,
                         label, backup->cause[0] == '\0' ? "" : "; the last one was: ", backup->cause);
    err.flags |= ETCD_ERROR_RETRYABLE;
    fail(backup, &err);
}

/* ---- attempts -------------------------------------------------------------------------------------- */

static const struct etcd__call_ops call_ops = {
    .on_message = on_message,
    .on_end = on_end,
};

static void start_attempt(struct backup *backup)
{
    struct etcd_client *client = backup->feed.client;
    const struct etcd__call_config config = {
        .method = &method,
        .ops = &call_ops,
        .deadline_ms = backup->deadline_ms,
        .max_recv = client->config.max_recv_bytes,
        .fail_fast = backup->fail_fast,
        .only = backup->bound ? &backup->only : NULL,
    };

    backup->attempts++;
    backup->generation = client->auth.generation;
    backup->outgoing = (struct etcd__outgoing){.data = backup->request, .len = sizeof(backup->request)};
    etcd__call_start(&backup->call, client->channel, &config);
    etcd__call_send(&backup->call, &backup->outgoing);
    etcd__call_half_close(&backup->call);
}

static void proceed(struct backup *backup)
{
    struct etcd__auth *auth = &backup->feed.client->auth;

    if (etcd__auth_ready(auth))
        start_attempt(backup);
    else
        etcd__auth_wait(auth, &backup->login);
}

static void on_login(struct etcd__auth_waiter *waiter, etcd_status status, const etcd_error *err)
{
    struct backup *backup = ETCD__CONTAINER(waiter, struct backup, login);
    etcd_error own;

    if (status == ETCD_OK) {
        proceed(backup);
        return;
    }
    own = *err;
    etcd__error_prefix(&own, "%s", etcd__backup_name);
    fail(backup, &own);
}

static void on_pause(struct etcd__timer *timer)
{
    proceed(ETCD__CONTAINER(timer, struct backup, pause));
}

/* ---- the feed's side ------------------------------------------------------------------------------- */

static void resume(struct backup *backup)
{
    if (etcd__call_alive(&backup->call) && backup->call.recv_paused)
        etcd__call_pause(&backup->call, false);
}

static bool want(struct etcd__feed *feed, int64_t deadline_ms)
{
    struct backup *backup = backup_of(feed);

    (void)deadline_ms;
    if (backup->failed) {
        etcd__feed_fail(feed, &backup->error);
    } else if (!backup->begun) {
        backup->begun = true;
        if (backup->deadline_ms != INT64_MAX)
            etcd__timer_arm(reactor_of(backup), &backup->deadline, backup->deadline_ms);
        proceed(backup);
    } else {
        resume(backup);
    }
    return false;
}

static void drained(struct etcd__feed *feed)
{
    resume(backup_of(feed));
}

static void stop(struct etcd__feed *feed)
{
    halt(backup_of(feed));
}

static void destroy(struct etcd__feed *feed)
{
    struct backup *backup = backup_of(feed);

    etcd__endpoint_deinit(&backup->only);
    etcd__free(backup);
}

static const struct etcd__feed_ops feed_ops = {
    .name = etcd__backup_name,
    .want = want,
    .drained = drained,
    .stop = stop,
    .destroy = destroy,
    .free_item = etcd__backup_part_free,
};

etcd_status etcd__backup_open(struct etcd_client *client, const char *endpoint, int64_t deadline_ms,
                              bool fail_fast, struct etcd__feed **ret_feed, etcd_error *reterr)
{
    struct backup *backup = ETCD__NEW(struct backup);
    etcd_status st = ETCD_OK;

    if (backup == NULL)
        return etcd__fail_memory(reterr);
    if (endpoint != NULL)
        st = etcd__endpoint_parse(endpoint, &backup->only, reterr);
    if (st != ETCD_OK) {
        etcd__error_prefix(reterr, "%s", etcd__backup_name);
        etcd__free(backup);
        return st;
    }
    backup->bound = endpoint != NULL;
    backup->fail_fast = fail_fast;
    backup->deadline_ms = deadline_ms;
    backup->login.on_ready = on_login;
    backup->pause.on_expire = on_pause;
    backup->deadline.on_expire = on_deadline;
    etcd__feed_init(&backup->feed, client, &feed_ops);
    *ret_feed = &backup->feed;
    return ETCD_OK;
}
