/* SPDX-License-Identifier: Apache-2.0 */
/* The fake server inside the scripted network. One thread, so the lock is for the functions that take it by
 * themselves. */
#include "support/fake_etcd_core.h"

#include "support/fake_env.h"

#include <stdio.h>
#include <stdlib.h>

struct env_line {
    struct fake_line line;
    struct fake_peer *peer;
    bool closed;
    struct env_line *next; /* all that ever were */
};

struct fake_network {
    struct fake_env *env;
    struct fake_host *host;
    struct env_line *lines;
};

static int64_t env_now_ms(struct fake_etcd *fake)
{
    return fake_now(fake->network->env);
}

static void push(struct env_line *line)
{
    uint8_t buf[4096];
    size_t len;

    if (line->closed)
        return;
    while ((len = h2_server_take(line->line.server, buf, sizeof(buf))) > 0)
        fake_peer_write(line->peer, buf, len);
    if (line->line.noise)
        fake_peer_write(line->peer, "noise", 5);
    if (!line->line.cut && !line->line.noise)
        return;
    fake_peer_close(line->peer);
    line->closed = true;
    fake_core_drop_line(&line->line);
}

static void on_accept(struct fake_peer *peer)
{
    struct fake_etcd *fake = fake_peer_host(peer)->user;
    struct env_line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        abort();
    fake_core_add_line(fake, &line->line);
    line->peer = peer;
    line->next = fake->network->lines;
    fake->network->lines = line;
    push(line);
}

static void on_data(struct fake_peer *peer)
{
    struct fake_etcd *fake = fake_peer_host(peer)->user;
    struct env_line *line = fake->network->lines;
    uint8_t buf[4096];
    size_t len;

    while (line != NULL && line->peer != peer)
        line = line->next;
    if (line == NULL || line->closed)
        return;
    while ((len = fake_peer_read(peer, buf, sizeof(buf))) > 0)
        (void)fake_core_feed(&line->line, buf, len);
    push(line);
    if (line->closed || !fake_peer_ended(peer))
        return;
    line->closed = true;
    fake_core_drop_line(&line->line);
}

static void on_time(void *user)
{
    struct fake_etcd *fake = user;

    fake_core_run_due(fake);
    for (struct env_line *line = fake->network->lines; line != NULL; line = line->next)
        push(line);
}

static void remind(struct fake_etcd *fake, int64_t at_ms)
{
    fake_at(fake->network->env, at_ms, on_time, fake);
}

static void free_network(struct fake_etcd *fake)
{
    struct fake_network *network = fake->network;

    while (network->lines != NULL) {
        struct env_line *line = network->lines;

        network->lines = line->next;
        if (!line->closed)
            fake_core_drop_line(&line->line);
        free(line);
    }
    network->host->on_accept = NULL;
    network->host->on_data = NULL;
    free(network);
}

struct fake_etcd *fake_etcd_attach(struct fake_env *env, const char *ip, uint16_t port)
{
    struct fake_etcd *fake = fake_core_new();

    fake->network = calloc(1, sizeof(*fake->network));
    if (fake->network == NULL)
        abort();
    fake->network->env = env;
    fake->network->host = fake_host_add(env, ip, port);
    fake->network->host->user = fake;
    fake->network->host->on_accept = on_accept;
    fake->network->host->on_data = on_data;
    fake->now_ms = env_now_ms;
    fake->remind = remind;
    fake->free_network = free_network;
    (void)snprintf(fake->endpoint, sizeof(fake->endpoint), "%s:%u", ip, (unsigned)port);
    return fake;
}
