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
    size_t in_left, out_left; /* bytes until it is cut */
    bool reset, closed;
    struct env_line *next; /* all that ever were */
};

struct fake_network {
    struct fake_env *env;
    struct fake_host *host;
    struct env_line *lines;
    size_t cut_in, cut_out; /* of the next connection */
    bool cut_reset;
};

static int64_t env_now_ms(struct fake_etcd *fake)
{
    return fake_now(fake->network->env);
}

static void end(struct env_line *line)
{
    if (line->reset)
        fake_peer_reset(line->peer);
    else
        fake_peer_close(line->peer);
    line->closed = true;
    fake_core_drop_line(&line->line);
}

static void write_some(struct env_line *line, const uint8_t *data, size_t len)
{
    if (len > line->out_left)
        len = line->out_left;
    if (line->out_left != SIZE_MAX)
        line->out_left -= len;
    if (len > 0)
        fake_peer_write(line->peer, data, len);
}

static void push(struct env_line *line)
{
    uint8_t buf[4096];
    size_t len;

    if (line->closed)
        return;
    while ((len = h2_server_take(line->line.server, buf, sizeof(buf))) > 0)
        write_some(line, buf, len);
    if (line->line.noise)
        fake_peer_write(line->peer, "noise", 5);
    if (line->line.cut || line->line.noise || line->in_left == 0 || line->out_left == 0)
        end(line);
}

static void on_accept(struct fake_peer *peer)
{
    struct fake_etcd *fake = fake_peer_host(peer)->user;
    struct env_line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        abort();
    fake_core_add_line(fake, &line->line);
    line->peer = peer;
    line->in_left = fake->network->cut_in;
    line->out_left = fake->network->cut_out;
    line->reset = fake->network->cut_reset;
    fake->network->cut_in = fake->network->cut_out = SIZE_MAX;
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
    while (line->in_left > 0 &&
           (len = fake_peer_read(peer, buf, line->in_left < sizeof(buf) ? line->in_left : sizeof(buf))) > 0) {
        if (line->in_left != SIZE_MAX)
            line->in_left -= len;
        (void)fake_core_feed(&line->line, buf, len);
    }
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
    fake->network->cut_in = fake->network->cut_out = SIZE_MAX;
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

void fake_etcd_cut_at(struct fake_etcd *fake, size_t in, size_t out, bool reset)
{
    fake->network->cut_in = in;
    fake->network->cut_out = out;
    fake->network->cut_reset = reset;
}

struct fake_host *fake_etcd_host(struct fake_etcd *fake)
{
    return fake->network->host;
}
