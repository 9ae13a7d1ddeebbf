/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member that creates a watch may be behind what the watch has seen: it catches up. But a cluster that
 * was restored from a backup, or emptied, is behind for good: the watch would wait in silence for a
 * revision that now means something else. A linearizable read tells the two apart. One read serves all
 * watches that are suspected when it starts; those that get events meanwhile are not suspected any more.
 */
#include "client/watch_core.h"

#include "base/str.h"

#include <inttypes.h>

enum {
    SUSPECT_NOT = 0,
    SUSPECT_WAITING, /* for the next read */
    SUSPECT_ASKED,   /* the read that is under way decides */
};

static void ask(struct etcd__watch_hub *hub);

static struct etcd_watch *watch_at(struct etcd__node *in_hub)
{
    return ETCD__CONTAINER(in_hub, struct etcd_watch, in_hub);
}

static void end_one(struct etcd_watch *watch, int64_t revision)
{
    char text[128];
    etcd_error err;

    etcd__format(text, sizeof(text),
                 "the store went back to revision %" PRId64 ", revision %" PRId64 " was seen", revision,
                 watch->next_revision - 1);
    (void)etcd__watch_fail(&err, watch, ETCD_E_CLUSTER_CHANGED, text);
    etcd__watch_end(watch, ETCD_E_CLUSTER_CHANGED, &err);
}

static void decide(struct etcd__watch_hub *hub, int64_t revision)
{
    ETCD__LIST_FOREACH_SAFE(node, &hub->watches)
    {
        struct etcd_watch *watch = watch_at(node);

        if (watch->suspect != SUSPECT_ASKED)
            continue;
        watch->suspect = SUSPECT_NOT;
        if (revision < watch->next_revision - 1)
            end_one(watch, revision);
    }
}

/* Nobody can tell: they go on as they are. */
static void give_up(struct etcd__watch_hub *hub)
{
    ETCD__LIST_FOREACH(node, &hub->watches)
    {
        if (watch_at(node)->suspect == SUSPECT_ASKED)
            watch_at(node)->suspect = SUSPECT_NOT;
    }
}

static void failed(struct etcd__watch_hub *hub, etcd_status status)
{
    struct etcd__reactor *reactor = etcd__client_reactor(hub->client);

    if (!etcd__watch_passing(status)) {
        give_up(hub);
        ask(hub);
        return;
    }
    etcd__timer_arm(reactor, &hub->verify_timer,
                    reactor->now_ms + etcd__watch_pause_ms(reactor, ++hub->verify_failures));
}

static void on_done(void *user, etcd_status status, void *result, const etcd_error *err)
{
    struct etcd__watch_hub *hub = user;
    int64_t revision;

    (void)err;
    hub->verify = NULL;
    if (status != ETCD_OK) {
        failed(hub, status);
        return;
    }
    revision = *(int64_t *)result;
    etcd__free(result);
    hub->verify_failures = 0;
    decide(hub, revision);
    ask(hub);
}

/* Any of those that are suspected, all of which the read then is for; NULL: there is none. */
static struct etcd_watch *mark_asked(struct etcd__watch_hub *hub)
{
    struct etcd_watch *any = NULL;

    ETCD__LIST_FOREACH(node, &hub->watches)
    {
        if (watch_at(node)->suspect == SUSPECT_NOT)
            continue;
        any = watch_at(node);
        any->suspect = SUSPECT_ASKED;
    }
    return any;
}

static void ask(struct etcd__watch_hub *hub)
{
    struct etcd_watch *watch = mark_asked(hub);
    etcd_status st;

    if (watch == NULL)
        return;
    st = etcd__watch_read_revision(watch, on_done, hub, &hub->verify, NULL);
    if (st != ETCD_OK)
        failed(hub, st);
}

static void on_timer(struct etcd__timer *timer)
{
    ask(ETCD__CONTAINER(timer, struct etcd__watch_hub, verify_timer));
}

void etcd__watch_verify_init(struct etcd__watch_hub *hub)
{
    hub->verify_timer.on_expire = on_timer;
}

void etcd__watch_verify(struct etcd_watch *watch)
{
    struct etcd__watch_hub *hub = &watch->client->watches;

    watch->suspect = SUSPECT_WAITING;
    /* The timer comes first in the next turn: all watches of one answer share a read. */
    if (hub->verify == NULL && !etcd__timer_armed(&hub->verify_timer))
        etcd__timer_arm(etcd__client_reactor(hub->client), &hub->verify_timer,
                        etcd__client_reactor(hub->client)->now_ms);
}

void etcd__watch_verify_close(struct etcd__watch_hub *hub)
{
    etcd__rpc_abort(hub->verify);
    hub->verify = NULL;
    etcd__timer_disarm(etcd__client_reactor(hub->client), &hub->verify_timer);
}
