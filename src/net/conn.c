/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implementation notes. Whatever calls the owner back runs between enter() and leave(): the owner may call
 * etcd__conn_close() at any of these points, and the memory goes when the outermost leave() is reached.
 * After each callback the state tells whether to go on.
 *
 * A failure fills conn->error. In a turn finish() reports it at once; inside a call of the owner a task does.
 */
#include "net/conn.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/race.h"

#include <assert.h>
#include <errno.h>

enum {
    BUFFER_SMALL = 16 * 1024, /* what a connection begins with; a TLS record fits */
    BUFFER_LARGE = 64 * 1024, /* after a read that filled it */
    READS_PER_EVENT = 4,      /* then the loop's other descriptors have their turn */
    OUT_KEPT = 64 * 1024,     /* of the memory for what the kernel did not take */
    PHASE_SIZE = 320,
};

enum conn_state { STATE_RESOLVING, STATE_CONNECTING, STATE_HANDSHAKE, STATE_OPEN, STATE_CLOSED };

struct etcd__conn {
    struct etcd__conn_config config;
    enum conn_state state;
    struct etcd__lookup *lookup; /* RESOLVING, NULL for a unix socket */
    struct etcd__race race;      /* CONNECTING */
    struct etcd__io io;          /* from HANDSHAKE on */
    int fd;                      /* -1: none */
    char peer[ETCD__ADDR_TEXT_SIZE];
    struct etcd__tls_session *session; /* NULL: in clear */
    struct etcd__buf out;              /* what the kernel has not taken, as it goes over the wire */
    uint8_t *in;                       /* of in_size bytes; made by the first read */
    size_t in_size;
    struct etcd__task task; /* the start of a unix connection, later a failure that waits for its turn */
    bool failing;           /* such a failure waits: conn->error is set */
    unsigned depth;         /* of enter() */
    bool released;          /* leave() frees */
    etcd_error error;
    char phase[PHASE_SIZE];
};

/* ---- life ---- */

static const struct etcd__env *conn_env(const struct etcd__conn *conn)
{
    return &conn->config.reactor->env;
}

/* The answer to a login came through it. */
static void give_input_back(struct etcd__conn *conn)
{
    etcd__wipe(conn->in, conn->in_size);
    etcd__free(conn->in);
}

static void destroy(struct etcd__conn *conn)
{
    assert(conn->state == STATE_CLOSED && conn->depth == 0);
    etcd__tls_session_free(conn->session);
    etcd__tls_unref(conn->config.tls);
    etcd__buf_deinit(&conn->out);
    give_input_back(conn);
    etcd__free(conn);
}

static void enter(struct etcd__conn *conn)
{
    conn->depth++;
}

static void leave(struct etcd__conn *conn)
{
    assert(conn->depth > 0);
    if (--conn->depth == 0 && conn->released)
        destroy(conn);
}

/* Gives back all that could lead to another event. */
static void shut_down(struct etcd__conn *conn)
{
    const struct etcd__env *env = conn_env(conn);

    etcd__lookup_cancel(conn->lookup);
    conn->lookup = NULL;
    etcd__race_cancel(&conn->race);
    etcd__task_cancel(&conn->task);
    etcd__io_stop(&conn->io);
    if (conn->fd >= 0)
        env->ops->close(env->self, conn->fd);
    conn->fd = -1;
    conn->state = STATE_CLOSED;
}

/* ---- failures ---- */

/* Reports conn->error. Only in a turn of the reactor. */
static void finish(struct etcd__conn *conn)
{
    assert(conn->state != STATE_CLOSED && conn->depth > 0);
    shut_down(conn);
    conn->config.handler->on_closed(conn->config.user, &conn->error);
}

/* Says in conn->error what failed with this errno. */
static void describe(struct etcd__conn *conn, const char *what, int error)
{
    char text[128];

    if (error == ENOMEM) {
        etcd__fail_memory(&conn->error);
        return;
    }
    etcd__fail(&conn->error, ETCD_E_UNAVAILABLE, "%s%s %s: %s",
               conn->state == STATE_HANDSHAKE ? "TLS handshake: " : "", what, conn->peer,
               etcd__errno_text(text, sizeof(text), error));
    conn->error.sys_errno = error;
}

static void describe_end(struct etcd__conn *conn)
{
    etcd__fail(&conn->error, ETCD_E_UNAVAILABLE, "%s%s: connection closed by peer",
               conn->state == STATE_HANDSHAKE ? "TLS handshake with " : "", conn->peer);
}

/* conn->error has the words of the TLS layer; adds the place. */
static void describe_tls(struct etcd__conn *conn)
{
    if (conn->error.status != ETCD_E_NO_MEMORY)
        etcd__error_prefix(&conn->error, "%s%s",
                           conn->state == STATE_HANDSHAKE ? "TLS handshake with " : "TLS with ", conn->peer);
}

static void fail_errno(struct etcd__conn *conn, const char *what, int error)
{
    describe(conn, what, error);
    finish(conn);
}

static void fail_end(struct etcd__conn *conn)
{
    describe_end(conn);
    finish(conn);
}

static void fail_memory(struct etcd__conn *conn)
{
    etcd__fail_memory(&conn->error);
    finish(conn);
}

/* ---- writing ---- */

/* 0 or a negative errno. */
static int update_interest(struct etcd__conn *conn)
{
    unsigned events = ETCD__READABLE | (etcd__buf_len(&conn->out) > 0 ? ETCD__WRITABLE : 0u);

    return etcd__io_update(&conn->io, events);
}

/* Sends what it can of data[0, len). The count, or a negative errno. */
static ssize_t send_some(struct etcd__conn *conn, const uint8_t *data, size_t len)
{
    const struct etcd__env *env = conn_env(conn);
    ssize_t sent = env->ops->send(env->self, conn->fd, data, len);

    return sent == -EAGAIN ? 0 : sent;
}

/* Sends what is kept, and what TLS has made; keeps what the kernel does not take. 0 or a negative errno. */
static int flush(struct etcd__conn *conn)
{
    if (conn->session != NULL && !etcd__tls_take_output(conn->session, &conn->out))
        return -ENOMEM;
    if (etcd__buf_len(&conn->out) > 0) {
        ssize_t sent = send_some(conn, etcd__buf_front(&conn->out), etcd__buf_len(&conn->out));

        if (sent < 0)
            return (int)sent;
        etcd__buf_consume(&conn->out, (size_t)sent);
    }
    if (etcd__buf_len(&conn->out) == 0)
        etcd__buf_trim(&conn->out, OUT_KEPT);
    return update_interest(conn);
}

static bool write_clear(struct etcd__conn *conn, const uint8_t *data, size_t len)
{
    ssize_t sent = 0;
    int ret;

    /* What waits goes first. */
    if (etcd__buf_len(&conn->out) == 0)
        sent = send_some(conn, data, len);
    if (sent < 0) {
        describe(conn, "write to", (int)-sent);
        return false;
    }
    if ((size_t)sent == len)
        return true;
    if (!etcd__buf_append(&conn->out, data + sent, len - (size_t)sent)) {
        describe(conn, "write to", ENOMEM);
        return false;
    }
    ret = update_interest(conn);
    if (ret < 0)
        describe(conn, "write to", -ret);
    return ret == 0;
}

static bool write_tls(struct etcd__conn *conn, const uint8_t *data, size_t len)
{
    int ret;

    if (etcd__tls_write(conn->session, data, len, &conn->error) != ETCD__TLS_OK) {
        describe_tls(conn);
        return false;
    }
    ret = flush(conn);
    if (ret < 0)
        describe(conn, "write to", -ret);
    return ret == 0;
}

static void on_failure_task(struct etcd__task *task);

bool etcd__conn_write(struct etcd__conn *conn, const void *data, size_t len)
{
    bool written;

    if (conn->state != STATE_OPEN || conn->failing)
        return false;
    if (len == 0)
        return true;
    written = conn->session != NULL ? write_tls(conn, data, len) : write_clear(conn, data, len);
    if (!written) {
        conn->failing = true;
        conn->task.run = on_failure_task;
        etcd__task_post(conn->config.reactor, &conn->task);
    }
    return written;
}

bool etcd__conn_blocked(const struct etcd__conn *conn)
{
    return etcd__buf_len(&conn->out) > 0;
}

static void on_writable(struct etcd__conn *conn)
{
    int ret;

    if (conn->failing || etcd__buf_len(&conn->out) == 0)
        return;
    ret = flush(conn);
    if (ret < 0) {
        fail_errno(conn, "write to", -ret);
        return;
    }
    if (conn->state == STATE_OPEN && etcd__buf_len(&conn->out) == 0)
        conn->config.handler->on_drained(conn->config.user);
}

/* ---- TLS ---- */

/* A TLS failure, with the alert that tells the peer why, if it can go out. */
static void fail_tls(struct etcd__conn *conn)
{
    (void)flush(conn);
    describe_tls(conn);
    finish(conn);
}

/* Hands the owner what the session has decrypted. */
static void pump_session(struct etcd__conn *conn)
{
    enum etcd__tls_result result;
    size_t len;
    int ret;

    while ((result = etcd__tls_read(conn->session, conn->in, conn->in_size, &len, &conn->error)) ==
           ETCD__TLS_OK) {
        conn->config.handler->on_data(conn->config.user, conn->in, len);
        if (conn->state == STATE_CLOSED)
            return;
    }
    if (result == ETCD__TLS_FAILED) {
        fail_tls(conn);
        return;
    }
    if (result == ETCD__TLS_EOF) {
        fail_end(conn);
        return;
    }
    ret = conn->failing ? 0 : flush(conn); /* reading can make TLS answer, to a key update for one */
    if (ret < 0)
        fail_errno(conn, "write to", -ret);
}

static void become_open(struct etcd__conn *conn)
{
    conn->state = STATE_OPEN;
    conn->config.handler->on_open(conn->config.user);
}

static void step_handshake(struct etcd__conn *conn)
{
    enum etcd__tls_result result = etcd__tls_handshake(conn->session, &conn->error);
    int ret;

    if (result == ETCD__TLS_FAILED) {
        fail_tls(conn);
        return;
    }
    if (result == ETCD__TLS_EOF) {
        fail_end(conn);
        return;
    }
    ret = flush(conn);
    if (ret < 0) {
        fail_errno(conn, "write to", -ret);
        return;
    }
    if (result == ETCD__TLS_WANT_MORE)
        return;
    become_open(conn);
    /* The peer's first bytes may have come with the end of the handshake. */
    if (conn->state == STATE_OPEN)
        pump_session(conn);
}

static void feed_session(struct etcd__conn *conn, size_t len)
{
    if (!etcd__tls_feed(conn->session, conn->in, len))
        fail_memory(conn);
    else if (conn->state == STATE_HANDSHAKE)
        step_handshake(conn);
    else
        pump_session(conn);
}

/* ---- reading ---- */

/* False when there is no buffer. One that cannot be made larger is good enough. */
static bool size_buffer(struct etcd__conn *conn, size_t size)
{
    uint8_t *in;

    if (conn->in_size >= size)
        return true;
    in = etcd__malloc(size);
    if (in == NULL)
        return conn->in != NULL;
    give_input_back(conn);
    conn->in = in;
    conn->in_size = size;
    return true;
}

/* One read. True when there may be more to read. */
static bool read_once(struct etcd__conn *conn)
{
    const struct etcd__env *env = conn_env(conn);
    size_t size = conn->in_size;
    ssize_t len = env->ops->recv(env->self, conn->fd, conn->in, size);

    if (len == -EAGAIN)
        return false;
    if (len == 0)
        fail_end(conn);
    else if (len < 0)
        fail_errno(conn, "read from", (int)-len);
    else if (conn->session != NULL)
        feed_session(conn, (size_t)len);
    else
        conn->config.handler->on_data(conn->config.user, conn->in, (size_t)len);
    /* Less than was asked for: the kernel has no more, and would say so again if it had. */
    if (conn->state == STATE_CLOSED || (size_t)len < size)
        return false;
    return size_buffer(conn, BUFFER_LARGE);
}

static void on_readable(struct etcd__conn *conn)
{
    if (!size_buffer(conn, BUFFER_SMALL)) {
        fail_memory(conn);
        return;
    }
    for (int i = 0; i < READS_PER_EVENT; i++) {
        if (!read_once(conn))
            return;
    }
}

static void on_io(struct etcd__io *io, unsigned events)
{
    struct etcd__conn *conn = ETCD__CONTAINER(io, struct etcd__conn, io);

    enter(conn);
    /* Reading first: of a connection that broke, the peer's last words are worth more than a failed write. */
    if (events & ETCD__READABLE)
        on_readable(conn);
    if ((events & ETCD__WRITABLE) && conn->state != STATE_CLOSED)
        on_writable(conn);
    leave(conn);
}

static void on_failure_task(struct etcd__task *task)
{
    struct etcd__conn *conn = ETCD__CONTAINER(task, struct etcd__conn, task);
    etcd_error cause = conn->error;

    enter(conn);
    if (cause.sys_errno != 0)
        on_readable(conn); /* the peer's last words, as above */
    if (conn->state != STATE_CLOSED) {
        conn->error = cause;
        finish(conn);
    }
    leave(conn);
}

/* ---- connecting ---- */

static void start_session(struct etcd__conn *conn)
{
    const struct etcd__endpoint *endpoint = conn->config.endpoint;
    const char *name = endpoint->is_unix ? endpoint->authority : endpoint->host;

    conn->state = STATE_HANDSHAKE;
    if (etcd__tls_session_new(conn->config.tls, name, endpoint->is_address, &conn->session, &conn->error) !=
        ETCD_OK) {
        describe_tls(conn);
        finish(conn);
        return;
    }
    step_handshake(conn);
}

static void on_connected(struct etcd__conn *conn, int fd, const struct sockaddr_storage *addr)
{
    const struct etcd__env *env = conn_env(conn);
    int ret;

    conn->fd = fd;
    etcd__addr_text(conn->peer, sizeof(conn->peer), addr);
    if (conn->config.user_timeout_ms > 0 && !conn->config.endpoint->is_unix &&
        env->ops->set_user_timeout != NULL)
        env->ops->set_user_timeout(env->self, fd, conn->config.user_timeout_ms);
    conn->io.on_ready = on_io;
    ret = etcd__io_start(conn->config.reactor, &conn->io, fd, ETCD__READABLE);
    if (ret < 0)
        fail_errno(conn, "wait for", -ret);
    else if (conn->config.tls != NULL)
        start_session(conn);
    else
        become_open(conn);
}

static void on_race_done(struct etcd__race *race, int fd, const struct sockaddr_storage *addr,
                         const etcd_error *err)
{
    struct etcd__conn *conn = ETCD__CONTAINER(race, struct etcd__conn, race);

    enter(conn);
    if (err == NULL) {
        on_connected(conn, fd, addr);
    } else {
        conn->error = *err;
        finish(conn);
    }
    leave(conn);
}

static void start_race(struct etcd__conn *conn, const struct etcd__addresses *addresses)
{
    conn->state = STATE_CONNECTING;
    if (etcd__race_start(&conn->race, conn->config.reactor, addresses, on_race_done, &conn->error) != ETCD_OK)
        finish(conn);
}

static void on_resolved(void *user, const struct etcd__addresses *addresses)
{
    struct etcd__conn *conn = user;

    conn->lookup = NULL;
    enter(conn);
    if (addresses->count > 0) {
        start_race(conn, addresses);
    } else {
        etcd__fail(&conn->error, ETCD_E_UNAVAILABLE, "resolve %s: %s", conn->config.endpoint->host,
                   addresses->error != NULL ? addresses->error : "the name has no address");
        finish(conn);
    }
    leave(conn);
}

static void on_unix_task(struct etcd__task *task)
{
    struct etcd__conn *conn = ETCD__CONTAINER(task, struct etcd__conn, task);
    struct sockaddr_storage addr;

    enter(conn);
    if (etcd__addr_unix(conn->config.endpoint->host, &addr)) {
        start_race(conn, &(struct etcd__addresses){.list = &addr, .count = 1});
    } else {
        etcd__fail(&conn->error, ETCD_E_INTERNAL, "path %s of a unix socket was not checked",
                   conn->config.endpoint->host);
        finish(conn);
    }
    leave(conn);
}

etcd_status etcd__conn_open(const struct etcd__conn_config *config, struct etcd__conn **ret_conn,
                            etcd_error *reterr)
{
    const struct etcd__endpoint *endpoint = config->endpoint;
    struct etcd__conn *conn;
    etcd_status st = ETCD_OK;

    assert(config->reactor != NULL && config->handler != NULL && endpoint != NULL && ret_conn != NULL);
    conn = ETCD__NEW(struct etcd__conn);
    if (conn == NULL)
        return etcd__fail_memory(reterr);
    conn->config = *config;
    conn->out.secret = true; /* in clear it has what the owner sends, passwords too */
    conn->fd = -1;
    if (endpoint->is_unix) {
        conn->task.run = on_unix_task;
        etcd__task_post(config->reactor, &conn->task);
    } else {
        st = etcd__resolver_lookup(config->resolver, endpoint->host, endpoint->port, on_resolved, conn,
                                   &conn->lookup, reterr);
    }
    if (st != ETCD_OK) {
        etcd__free(conn);
        return st;
    }
    if (config->tls != NULL)
        etcd__tls_ref(config->tls);
    *ret_conn = conn;
    return ETCD_OK;
}

const char *etcd__conn_phase(struct etcd__conn *conn)
{
    const struct sockaddr_storage *addr = etcd__race_current(&conn->race);
    char peer[ETCD__ADDR_TEXT_SIZE];

    switch (conn->state) {
    case STATE_RESOLVING:
        etcd__format(conn->phase, sizeof(conn->phase), "resolving %s", conn->config.endpoint->host);
        return conn->phase;
    case STATE_CONNECTING:
        etcd__format(conn->phase, sizeof(conn->phase), "connecting to %s",
                     addr == NULL ? conn->config.endpoint->text : etcd__addr_text(peer, sizeof(peer), addr));
        return conn->phase;
    case STATE_HANDSHAKE:
        etcd__format(conn->phase, sizeof(conn->phase), "TLS handshake with %s", conn->peer);
        return conn->phase;
    case STATE_OPEN:
        etcd__format(conn->phase, sizeof(conn->phase), "connected to %s", conn->peer);
        return conn->phase;
    case STATE_CLOSED:
        break;
    }
    return "closed";
}

void etcd__conn_close(struct etcd__conn *conn)
{
    if (conn == NULL)
        return;
    assert(!conn->released);
    if (conn->state == STATE_OPEN && !conn->failing && conn->session != NULL) {
        etcd__tls_shutdown(conn->session);
        (void)flush(conn); /* no second try: closing does not wait */
    }
    if (conn->state != STATE_CLOSED)
        shut_down(conn);
    if (conn->depth > 0)
        conn->released = true;
    else
        destroy(conn);
}
