/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_env.h"

#include "base/list.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_FD = 1000, /* unlike any real descriptor, and never used twice */
    FIRST_MS = 1000000,
    WINDOW = 65536,
    NAME_ADDRESSES = 8,
};

struct bytes {
    uint8_t *data;
    size_t len;
};

struct host {
    struct fake_host script;
    struct fake_env *fake;
    struct etcd__node node;
    struct sockaddr_storage addr;
    size_t accepted;
};

enum socket_state { CONNECTING, CONNECTED, FAILED };

struct fake_peer {
    struct fake_env *fake;
    struct host *host; /* NULL: nobody is at that address */
    int fd;
    bool open; /* on the client's side */
    enum socket_state state;
    int error;      /* negative errno for recv, send and connect_result */
    size_t ordinal; /* among the host's accepted connections */
    bool dropped;
    unsigned interest;
    void *tag;
    struct bytes to_client, to_server; /* arrived, not read */
    size_t under_way;                  /* sent by the client, not arrived */
    bool client_eof, server_eof;       /* who reads it, not who closed */
    int64_t client_last, server_last;  /* when the last bytes towards each arrive */
};

struct name {
    struct etcd__node node;
    char *text;
    struct sockaddr_storage list[NAME_ADDRESSES];
    size_t count;
    int64_t delay_ms;
    const char *error;
    struct etcd__srv_record records[NAME_ADDRESSES]; /* of a service */
    size_t record_count;
};

struct event {
    struct etcd__node node;
    int64_t at;
    void (*run)(struct fake_env *fake, struct event *event);
    struct fake_peer *peer;
    struct bytes bytes;
    void (*script)(void *user);
    etcd__resolved_fn *resolved;
    etcd__services_fn *services;
    char *name;
    uint16_t port;
    void *user;
};

struct fake_env {
    int64_t now, deadline;
    uint64_t chance;
    size_t recv_max, send_max, misuses;
    bool woken;
    struct etcd__list events, hosts, names; /* events by time, then by order of making */
    struct fake_peer **peers;               /* by descriptor */
    size_t peer_count, poll_start;
};

static void *allocate(size_t size)
{
    void *ptr = calloc(1, size);

    if (ptr == NULL)
        abort();
    return ptr;
}

static void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
    if (len == 0)
        return;
    bytes->data = realloc(bytes->data, bytes->len + len);
    if (bytes->data == NULL)
        abort();
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

static size_t bytes_take(struct bytes *bytes, void *buf, size_t size)
{
    size_t len = size < bytes->len ? size : bytes->len;

    if (len == 0)
        return 0;
    memcpy(buf, bytes->data, len);
    memmove(bytes->data, bytes->data + len, bytes->len - len);
    bytes->len -= len;
    return len;
}

/* --- events --- */

static struct event *schedule(struct fake_env *fake, int64_t at,
                              void (*run)(struct fake_env *, struct event *))
{
    struct event *event = allocate(sizeof(*event));
    struct etcd__node *place = fake->events.head.prev;

    event->at = at < fake->now ? fake->now : at;
    event->run = run;
    while (place != &fake->events.head && ETCD__CONTAINER(place, struct event, node)->at > event->at)
        place = place->prev;
    etcd__list_insert_before(place->next, &event->node);
    return event;
}

static void event_free(struct event *event)
{
    etcd__node_unlink(&event->node);
    free(event->bytes.data);
    free(event->name);
    free(event);
}

static int64_t next_event_at(const struct fake_env *fake)
{
    const struct etcd__node *first = etcd__list_first(&fake->events);

    return first == NULL ? INT64_MAX : ETCD__CONTAINER(first, struct event, node)->at;
}

static void run_events(struct fake_env *fake)
{
    while (next_event_at(fake) <= fake->now) {
        struct event *event = ETCD__CONTAINER(etcd__list_pop(&fake->events), struct event, node);

        event->run(fake, event);
        event_free(event);
    }
}

static void run_script(struct fake_env *fake, struct event *event)
{
    (void)fake;
    event->script(event->user);
}

void fake_at(struct fake_env *fake, int64_t at_ms, void (*fn)(void *user), void *user)
{
    struct event *event = schedule(fake, at_ms, run_script);

    event->script = fn;
    event->user = user;
}

/* --- addresses --- */

static bool parse_ip(const char *ip, uint16_t port, struct sockaddr_storage *addr)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(addr, 0, sizeof(*addr));
    if (inet_pton(AF_INET, ip, &in4.sin_addr) == 1)
        memcpy(addr, &in4, sizeof(in4));
    else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
        memcpy(addr, &in6, sizeof(in6));
    else
        return false;
    return true;
}

static void set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
}

static struct host *find_host(struct fake_env *fake, const struct sockaddr *addr, socklen_t len)
{
    struct sockaddr_storage wanted = {0};

    memcpy(&wanted, addr, len < sizeof(wanted) ? len : sizeof(wanted));
    ETCD__LIST_FOREACH(node, &fake->hosts)
    {
        struct host *host = ETCD__CONTAINER(node, struct host, node);

        if (memcmp(&host->addr, &wanted, sizeof(wanted)) == 0)
            return host;
    }
    return NULL;
}

/* --- connections --- */

static struct fake_peer *find_peer(struct fake_env *fake, int fd)
{
    size_t index = (size_t)fd - FIRST_FD;

    if (fd < FIRST_FD || index >= fake->peer_count || !fake->peers[index]->open) {
        fake->misuses++;
        return NULL;
    }
    return fake->peers[index];
}

static void finish_connect(struct fake_env *fake, struct event *event)
{
    struct fake_peer *peer = event->peer;
    struct host *host = peer->host;

    (void)fake;
    if (!peer->open)
        return;
    if (host == NULL || host->script.answer != FAKE_ACCEPT) {
        peer->state = FAILED;
        peer->error = -ECONNREFUSED;
        return;
    }
    peer->state = CONNECTED;
    peer->ordinal = ++host->accepted;
    if (host->script.on_accept != NULL)
        host->script.on_accept(peer);
}

static int fake_connect(void *self, const struct sockaddr *addr, socklen_t len, int *ret_fd)
{
    struct fake_env *fake = self;
    struct fake_peer *peer = allocate(sizeof(*peer));

    peer->fake = fake;
    peer->host = find_host(fake, addr, len);
    peer->fd = FIRST_FD + (int)fake->peer_count;
    peer->open = true;
    fake->peers = realloc(fake->peers, (fake->peer_count + 1) * sizeof(struct fake_peer *));
    if (fake->peers == NULL)
        abort();
    fake->peers[fake->peer_count++] = peer;
    if (peer->host == NULL || peer->host->script.answer != FAKE_BLACK_HOLE) {
        int64_t delay = peer->host == NULL ? 0 : peer->host->script.connect_ms;

        schedule(fake, fake->now + delay, finish_connect)->peer = peer;
    }
    *ret_fd = peer->fd;
    return 0;
}

static int fake_connect_result(void *self, int fd)
{
    struct fake_peer *peer = find_peer(self, fd);

    if (peer == NULL)
        return -EBADF;
    return peer->state == CONNECTING ? -EINPROGRESS : peer->error;
}

static ssize_t fake_recv(void *self, int fd, void *buf, size_t len)
{
    struct fake_env *fake = self;
    struct fake_peer *peer = find_peer(fake, fd);

    if (peer == NULL)
        return -EBADF;
    if (peer->error != 0)
        return peer->error;
    if (peer->to_client.len == 0)
        return peer->client_eof ? 0 : -EAGAIN;
    return (ssize_t)bytes_take(&peer->to_client, buf, len < fake->recv_max ? len : fake->recv_max);
}

static void tell_server(struct fake_peer *peer)
{
    if (peer->host->script.on_data != NULL)
        peer->host->script.on_data(peer);
}

static void arrive_at_server(struct fake_env *fake, struct event *event)
{
    struct fake_peer *peer = event->peer;

    (void)fake;
    if (peer->dropped)
        return; /* never acknowledged: still counted as under way */
    peer->under_way -= event->bytes.len;
    bytes_add(&peer->to_server, event->bytes.data, event->bytes.len);
    if (event->bytes.len == 0)
        peer->server_eof = true;
    tell_server(peer);
}

static int64_t arrival(const struct fake_peer *peer, int64_t *last)
{
    int64_t at = peer->fake->now + peer->host->script.delay_ms;

    *last = at < *last ? *last : at;
    return *last;
}

static size_t send_room(const struct fake_peer *peer)
{
    size_t used = peer->under_way + peer->to_server.len;

    return used >= peer->host->script.window ? 0 : peer->host->script.window - used;
}

static ssize_t fake_send(void *self, int fd, const void *buf, size_t len)
{
    struct fake_env *fake = self;
    struct fake_peer *peer = find_peer(fake, fd);
    struct event *event;

    if (peer == NULL)
        return -EBADF;
    if (peer->error != 0)
        return peer->error;
    if (peer->state != CONNECTED || send_room(peer) == 0)
        return -EAGAIN;
    if (len == 0)
        return 0; /* on its way to the server an empty event is the end of the stream */
    if (len > send_room(peer))
        len = send_room(peer);
    if (len > fake->send_max)
        len = fake->send_max;
    event = schedule(fake, arrival(peer, &peer->server_last), arrive_at_server);
    event->peer = peer;
    bytes_add(&event->bytes, buf, len);
    peer->under_way += len;
    return (ssize_t)len;
}

static void fake_close(void *self, int fd)
{
    struct fake_env *fake = self;
    struct fake_peer *peer = find_peer(fake, fd);

    if (peer == NULL)
        return;
    if (peer->interest != 0)
        fake->misuses++; /* closed while it was polled */
    peer->open = false;
    peer->interest = 0;
    if (peer->state == CONNECTED && peer->error == 0)
        schedule(fake, arrival(peer, &peer->server_last), arrive_at_server)->peer = peer;
}

/* --- polling --- */

static int fake_poll_set(void *self, int fd, unsigned old_events, unsigned events, void *tag)
{
    struct fake_env *fake = self;
    struct fake_peer *peer = find_peer(fake, fd);

    if (peer == NULL)
        return -EBADF;
    if (peer->interest != old_events)
        fake->misuses++;
    peer->interest = events;
    peer->tag = tag;
    return 0;
}

static unsigned ready_events(const struct fake_peer *peer)
{
    unsigned events = 0;

    if (!peer->open || peer->state == CONNECTING)
        return 0;
    if (peer->error != 0)
        return peer->interest;
    if (peer->to_client.len > 0 || peer->client_eof)
        events |= ETCD__READABLE;
    if (send_room(peer) > 0)
        events |= ETCD__WRITABLE;
    return events & peer->interest;
}

static int collect(struct fake_env *fake, struct etcd__poll_event *events, int capacity)
{
    int count = 0;

    for (size_t i = 0; i < fake->peer_count && count < capacity; i++) {
        struct fake_peer *peer = fake->peers[(fake->poll_start + i) % fake->peer_count];
        unsigned ready = ready_events(peer);

        if (ready != 0)
            events[count++] = (struct etcd__poll_event){.tag = peer->tag, .events = ready};
    }
    fake->poll_start++; /* with more ready than there is room for, everyone gets a turn */
    return count;
}

static int fake_poll_wait(void *self, struct etcd__poll_event *events, int capacity, int64_t until_ms)
{
    struct fake_env *fake = self;
    int64_t limit = until_ms < fake->deadline ? until_ms : fake->deadline;

    for (;;) {
        int64_t next;
        int count;

        run_events(fake);
        count = collect(fake, events, capacity);
        if (count > 0 || fake->woken || limit <= fake->now) {
            fake->woken = false;
            if (fake->deadline <= fake->now)
                fake->deadline = INT64_MAX; /* it came; like a timer, once */
            return count;
        }
        next = next_event_at(fake);
        next = next < limit ? next : limit;
        if (next == INT64_MAX)
            return -EDEADLK;
        fake->now = next;
    }
}

static void fake_poll_wake(void *self)
{
    ((struct fake_env *)self)->woken = true;
}

static void fake_poll_deadline(void *self, int64_t at_ms)
{
    ((struct fake_env *)self)->deadline = at_ms;
}

static int fake_poll_fd(void *self)
{
    (void)self;
    return -1;
}

/* --- names --- */

static struct name *find_name(struct fake_env *fake, const char *text)
{
    ETCD__LIST_FOREACH(node, &fake->names)
    {
        struct name *name = ETCD__CONTAINER(node, struct name, node);

        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

static void run_resolved(struct fake_env *fake, struct event *event)
{
    struct name *name = find_name(fake, event->name);
    struct sockaddr_storage list[NAME_ADDRESSES];
    struct etcd__addresses answer = {.list = list};

    if (name == NULL) {
        if (parse_ip(event->name, event->port, &list[0]))
            answer.count = 1;
    } else if (name->error == NULL) {
        answer.count = name->count;
        memcpy(list, name->list, sizeof(list));
    }
    for (size_t i = 0; i < answer.count; i++)
        set_port(&list[i], event->port);
    if (answer.count == 0)
        answer.error = name != NULL && name->error != NULL ? name->error : "no such host";
    event->resolved(event->user, &answer);
}

static int fake_resolve(void *self, const char *host, uint16_t port, etcd__resolved_fn *fn, void *user,
                        void **ret_handle)
{
    struct fake_env *fake = self;
    const struct name *name = find_name(fake, host);
    struct event *event = schedule(fake, fake->now + (name == NULL ? 0 : name->delay_ms), run_resolved);

    event->name = strdup(host);
    if (event->name == NULL)
        abort();
    event->port = port;
    event->resolved = fn;
    event->user = user;
    *ret_handle = event;
    return 0;
}

static void run_services(struct fake_env *fake, struct event *event)
{
    const struct name *name = find_name(fake, event->name);
    struct etcd__services answer = {.error = "no SRV record"};

    if (name != NULL && name->error != NULL)
        answer.error = name->error;
    else if (name != NULL && name->record_count > 0)
        answer = (struct etcd__services){.list = name->records, .count = name->record_count};
    event->services(event->user, &answer);
}

static int fake_resolve_srv(void *self, const char *service, etcd__services_fn *fn, void *user,
                            void **ret_handle)
{
    struct fake_env *fake = self;
    const struct name *name = find_name(fake, service);
    struct event *event = schedule(fake, fake->now + (name == NULL ? 0 : name->delay_ms), run_services);

    event->name = strdup(service);
    if (event->name == NULL)
        abort();
    event->services = fn;
    event->user = user;
    *ret_handle = event;
    return 0;
}

static void fake_resolve_cancel(void *self, void *handle)
{
    (void)self;
    event_free(handle);
}

static struct name *name_of(struct fake_env *fake, const char *text)
{
    struct name *name = find_name(fake, text);

    if (name != NULL)
        return name;
    name = allocate(sizeof(*name));
    name->text = strdup(text);
    if (name->text == NULL)
        abort();
    etcd__list_push(&fake->names, &name->node);
    return name;
}

void fake_name_add(struct fake_env *fake, const char *name, const char *ip)
{
    struct name *entry = name_of(fake, name);

    if (ip == NULL)
        entry->count = 0;
    else if (entry->count == NAME_ADDRESSES || !parse_ip(ip, 0, &entry->list[entry->count++]))
        abort();
}

void fake_service_add(struct fake_env *fake, const char *service, const char *target, uint16_t port,
                      uint16_t priority)
{
    struct name *entry = name_of(fake, service);
    struct etcd__srv_record *record;

    if (target == NULL) {
        entry->record_count = 0;
        return;
    }
    if (entry->record_count == NAME_ADDRESSES)
        abort();
    record = &entry->records[entry->record_count++];
    *record = (struct etcd__srv_record){.priority = priority, .port = port};
    (void)snprintf(record->target, sizeof(record->target), "%s", target);
}

void fake_name_script(struct fake_env *fake, const char *name, int64_t delay_ms, const char *error)
{
    struct name *entry = name_of(fake, name);

    entry->delay_ms = delay_ms;
    entry->error = error;
}

/* --- the table --- */

static int64_t fake_now_ms(void *self)
{
    return ((struct fake_env *)self)->now;
}

/* splitmix64: tiny, and good enough for spreading back-off times. */
static void fake_random(void *self, void *buf, size_t len)
{
    struct fake_env *fake = self;
    uint8_t *out = buf;

    for (size_t i = 0; i < len; i++) {
        uint64_t z = fake->chance += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        out[i] = (uint8_t)(z >> 56);
    }
}

static const struct etcd__env_ops fake_ops = {
    .now_ms = fake_now_ms,
    .random = fake_random,
    .connect = fake_connect,
    .connect_result = fake_connect_result,
    .recv = fake_recv,
    .send = fake_send,
    .close = fake_close,
    .poll_set = fake_poll_set,
    .poll_wait = fake_poll_wait,
    .poll_wake = fake_poll_wake,
    .poll_deadline = fake_poll_deadline,
    .poll_fd = fake_poll_fd,
    .resolve = fake_resolve,
    .resolve_cancel = fake_resolve_cancel,
    .resolve_srv = fake_resolve_srv,
};

struct etcd__env fake_env_table(struct fake_env *fake)
{
    return (struct etcd__env){.ops = &fake_ops, .self = fake};
}

struct fake_env *fake_env_new(uint64_t seed)
{
    struct fake_env *fake = allocate(sizeof(*fake));

    fake->now = FIRST_MS;
    fake->deadline = INT64_MAX;
    fake->chance = seed;
    fake->recv_max = fake->send_max = SIZE_MAX;
    etcd__list_init(&fake->events);
    etcd__list_init(&fake->hosts);
    etcd__list_init(&fake->names);
    return fake;
}

void fake_env_free(struct fake_env *fake)
{
    struct etcd__node *node;

    if (fake == NULL)
        return;
    while ((node = etcd__list_pop(&fake->events)) != NULL)
        event_free(ETCD__CONTAINER(node, struct event, node));
    while ((node = etcd__list_pop(&fake->hosts)) != NULL)
        free(ETCD__CONTAINER(node, struct host, node));
    while ((node = etcd__list_pop(&fake->names)) != NULL) {
        struct name *name = ETCD__CONTAINER(node, struct name, node);

        free(name->text);
        free(name);
    }
    for (size_t i = 0; i < fake->peer_count; i++) {
        free(fake->peers[i]->to_client.data);
        free(fake->peers[i]->to_server.data);
        free(fake->peers[i]);
    }
    free(fake->peers);
    free(fake);
}

int64_t fake_now(const struct fake_env *fake)
{
    return fake->now;
}

void fake_pass(struct fake_env *fake, int64_t ms)
{
    fake->now += ms;
}

void fake_limit_io(struct fake_env *fake, size_t recv_max, size_t send_max)
{
    fake->recv_max = recv_max;
    fake->send_max = send_max;
}

/* --- the server's side --- */

struct fake_host *fake_host_add(struct fake_env *fake, const char *ip, uint16_t port)
{
    struct host *host = allocate(sizeof(*host));

    if (!parse_ip(ip, port, &host->addr))
        abort();
    host->fake = fake;
    host->script.window = WINDOW;
    etcd__list_push(&fake->hosts, &host->node);
    return &host->script;
}

struct fake_host *fake_peer_host(const struct fake_peer *peer)
{
    return &peer->host->script;
}

struct fake_peer *fake_host_peer(struct fake_host *script, size_t n)
{
    struct host *host = ETCD__CONTAINER(script, struct host, script);

    for (size_t i = 0; i < host->fake->peer_count; i++) {
        struct fake_peer *peer = host->fake->peers[i];

        if (peer->host == host && peer->ordinal == n + 1)
            return peer;
    }
    return NULL;
}

size_t fake_peer_read(struct fake_peer *peer, void *buf, size_t size)
{
    return bytes_take(&peer->to_server, buf, size);
}

static void arrive_at_client(struct fake_env *fake, struct event *event)
{
    struct fake_peer *peer = event->peer;

    (void)fake;
    if (peer->dropped || !peer->open)
        return;
    bytes_add(&peer->to_client, event->bytes.data, event->bytes.len);
    if (event->bytes.len == 0)
        peer->client_eof = true;
}

static void reset_client(struct fake_env *fake, struct event *event)
{
    (void)fake;
    if (!event->peer->dropped)
        event->peer->error = -ECONNRESET;
}

void fake_peer_write(struct fake_peer *peer, const void *data, size_t len)
{
    struct event *event;

    if (len == 0)
        return;
    event = schedule(peer->fake, arrival(peer, &peer->client_last), arrive_at_client);
    event->peer = peer;
    bytes_add(&event->bytes, data, len);
}

void fake_peer_close(struct fake_peer *peer)
{
    schedule(peer->fake, arrival(peer, &peer->client_last), arrive_at_client)->peer = peer;
}

void fake_peer_reset(struct fake_peer *peer)
{
    schedule(peer->fake, arrival(peer, &peer->client_last), reset_client)->peer = peer;
}

void fake_peer_drop(struct fake_peer *peer)
{
    peer->dropped = true;
}

bool fake_peer_ended(const struct fake_peer *peer)
{
    return peer->server_eof;
}

size_t fake_open_sockets(const struct fake_env *fake)
{
    size_t count = 0;

    for (size_t i = 0; i < fake->peer_count; i++)
        count += fake->peers[i]->open;
    return count;
}

size_t fake_misuses(const struct fake_env *fake)
{
    return fake->misuses;
}
