/* SPDX-License-Identifier: Apache-2.0 */
#include "client/auth.h"

#include "client/client.h"
#include "client/errors.h"
#include "client/options.h"
#include "client/results.h"
#include "wire/codec.h"
#include "wire/messages.h"

#include <string.h>

enum {
    PAUSE_FIRST_MS = 50, /* before a login that failed in passing is tried again; doubles */
    PAUSE_MAX_MS = 1000,
    SILENCE_MS = 1000, /* a login that stays unanswered is tried elsewhere; doubles */
    SILENCE_DOUBLINGS_MAX = 4,
};

static const struct etcd__method authenticate = {"/etcdserverpb.Auth/Authenticate", "login", false};

static void start_login(struct etcd__auth *auth);

/* ---- the waiters ----------------------------------------------------------------------------------- */

static void tell_waiters(struct etcd__auth *auth, etcd_status status, const etcd_error *err)
{
    struct etcd__list waiters;
    struct etcd__node *node;

    etcd__list_init(&waiters);
    etcd__list_splice(&waiters, &auth->waiters);
    while ((node = etcd__list_pop(&waiters)) != NULL) {
        struct etcd__auth_waiter *waiter = ETCD__CONTAINER(node, struct etcd__auth_waiter, node);

        waiter->on_ready(waiter, status, err);
    }
}

static void on_done_task(struct etcd__task *task)
{
    struct etcd__auth *auth = ETCD__CONTAINER(task, struct etcd__auth, done);

    tell_waiters(auth, auth->outcome, &auth->error);
}

static void finish(struct etcd__auth *auth, etcd_status status)
{
    auth->outcome = status;
    etcd__task_post(etcd__client_reactor(auth->client), &auth->done);
}

/* ---- the end of a login ---------------------------------------------------------------------------- */

static void become_ready(struct etcd__auth *auth, const char *token)
{
    struct etcd__reactor *reactor = etcd__client_reactor(auth->client);

    etcd__timer_disarm(reactor, &auth->timer);
    auth->failures = 0;
    auth->told_refused = false;
    auth->avoid = NULL;
    if (!etcd__channel_set_token(auth->client->channel, token)) {
        auth->state = ETCD__AUTH_EMPTY;
        finish(auth, etcd__fail_memory(&auth->error));
        return;
    }
    auth->state = ETCD__AUTH_READY;
    auth->generation++;
    etcd__client_note_login(auth->client, NULL);
    finish(auth, ETCD_OK);
}

/* The answer came, but there is nothing in it to go on with. */
static void useless(struct etcd__auth *auth)
{
    etcd__timer_disarm(etcd__client_reactor(auth->client), &auth->timer);
    auth->state = ETCD__AUTH_EMPTY;
    etcd__error_prefix(&auth->error, "user '%s': login: client '%s'", auth->client->config.username,
                       etcd__client_label(auth->client));
    finish(auth, auth->error.status);
}

static void refused(struct etcd__auth *auth, const struct etcd__call_end *end, struct etcd__verdict verdict)
{
    const struct etcd__client_config *config = &auth->client->config;

    etcd__timer_disarm(etcd__client_reactor(auth->client), &auth->timer);
    auth->state = ETCD__AUTH_EMPTY;
    (void)etcd__error_of_end(&auth->error, auth->client, "login", end, &verdict, false);
    etcd__error_prefix(&auth->error, "user '%s'", config->username);
    etcd__log(&auth->client->log, auth->told_refused ? ETCD_LOG_DEBUG : ETCD_LOG_ERROR, "auth", "%s",
              auth->error.message);
    auth->told_refused = true;
    etcd__client_note_login(auth->client, &auth->error);
    finish(auth, verdict.status);
}

/* Failed in passing: again after a pause, as long as somebody waits. */
static void pause_login(struct etcd__auth *auth)
{
    struct etcd__reactor *reactor = etcd__client_reactor(auth->client);
    int64_t pause_ms = PAUSE_FIRST_MS;

    auth->state = ETCD__AUTH_EMPTY;
    for (unsigned i = 0; i < auth->failures && pause_ms < PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    auth->failures++;
    etcd__timer_arm(reactor, &auth->timer,
                    reactor->now_ms + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS));
}

static void not_enabled(struct etcd__auth *auth)
{
    if (!auth->warned_not_enabled)
        etcd__log(
            &auth->client->log, ETCD_LOG_WARN, "auth",
            "client '%s' has credentials, but the server's authentication is off: going on without them",
            etcd__client_label(auth->client));
    auth->warned_not_enabled = true;
    become_ready(auth, "");
}

static void on_end(struct etcd__call *call, const struct etcd__call_end *end)
{
    struct etcd__auth *auth = ETCD__CONTAINER(call, struct etcd__auth, call);
    struct etcd__verdict verdict;

    if (end->code == ETCD__GRPC_OK) {
        if (auth->token.data != NULL)
            become_ready(auth, auth->token.data);
        else
            useless(auth);
        etcd__secret_clear(&auth->token);
        return;
    }
    verdict = etcd__verdict_of(end);
    if (strstr(end->message, "authentication is not enabled") != NULL)
        not_enabled(auth);
    else if (verdict.remedy == ETCD__REMEDY_NONE)
        refused(auth, end, verdict);
    else
        pause_login(auth);
}

static void on_message(struct etcd__call *call, const uint8_t *data, size_t len)
{
    struct etcd__auth *auth = ETCD__CONTAINER(call, struct etcd__auth, call);
    struct etcd__arena arena = {0};
    Etcd__Pb__AuthenticateResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__authenticate_response__descriptor, &arena, data, len, &st);
    if (answer == NULL)
        (void)etcd__fail_decode(&auth->error, st);
    else if (answer->token[0] == '\0')
        (void)etcd__fail(&auth->error, ETCD_E_PROTOCOL, "the server's answer has no token");
    else if (!etcd__secret_set(&auth->token, answer->token, strlen(answer->token)))
        (void)etcd__fail_memory(&auth->error);
    if (answer != NULL)
        etcd__wipe(answer->token, strlen(answer->token));
    etcd__arena_deinit(&arena);
}

/* Looks at the login under way after so long, at the latest when its time is over. */
static void look_again(struct etcd__auth *auth, int64_t after_ms)
{
    struct etcd__reactor *reactor = etcd__client_reactor(auth->client);
    int64_t at_ms = reactor->now_ms + after_ms;

    etcd__timer_arm(reactor, &auth->timer, at_ms < auth->limit_ms ? at_ms : auth->limit_ms);
}

static void on_silence(struct etcd__auth *auth)
{
    const struct etcd__subchannel *asked = auth->call.subchannel;
    bool over = etcd__client_reactor(auth->client)->now_ms >= auth->limit_ms;

    if (!over && (asked == NULL || !etcd__channel_has_other(auth->client->channel, asked))) {
        look_again(auth, SILENCE_MS);
        return;
    }
    auth->avoid = asked;
    (void)etcd__call_cancel(&auth->call);
    pause_login(auth);
}

static void on_timer(struct etcd__timer *timer)
{
    struct etcd__auth *auth = ETCD__CONTAINER(timer, struct etcd__auth, timer);

    if (auth->state == ETCD__AUTH_RUNNING) {
        on_silence(auth);
    } else if (!etcd__list_empty(&auth->waiters)) {
        start_login(auth);
    }
}

/* ---- the request ----------------------------------------------------------------------------------- */

/*
 * On a connection that was just made, the login has what making it has left of the dial timeout. Where
 * another member could be asked it is not waited for so long, but longer each time: a login is slow work for
 * a server.
 */
static void on_sent(struct etcd__call *call)
{
    struct etcd__auth *auth = ETCD__CONTAINER(call, struct etcd__auth, call);
    int64_t now_ms = etcd__client_reactor(auth->client)->now_ms;
    int64_t dialed_until_ms = etcd__call_dialed_ms(call) + auth->client->config.dial_timeout_ms;
    unsigned doublings = auth->failures < SILENCE_DOUBLINGS_MAX ? auth->failures : SILENCE_DOUBLINGS_MAX;

    if (dialed_until_ms > now_ms && dialed_until_ms < auth->limit_ms)
        auth->limit_ms = dialed_until_ms;
    look_again(auth, SILENCE_MS << doublings);
}

static const struct etcd__call_ops login_ops = {
    .on_sent = on_sent,
    .on_message = on_message,
    .on_end = on_end,
};

/* The request has the password in it. */
static void release_request(struct etcd__outgoing *outgoing)
{
    etcd__wipe(outgoing->data, outgoing->len);
    etcd__free(outgoing->data);
    outgoing->data = NULL;
}

static etcd_status make_request(struct etcd__auth *auth)
{
    Etcd__Pb__AuthenticateRequest request = ETCD__PB__AUTHENTICATE_REQUEST__INIT;
    struct etcd__secret password = {0};
    etcd_status st = etcd__client_password(auth->client, &password, &auth->error);

    if (st != ETCD_OK)
        return st;
    request.name = auth->client->config.username;
    request.password = password.data;
    auth->request = (struct etcd__outgoing){.release = release_request};
    if (etcd__wire_pack(&request.base, ETCD__FRAME_HEADER, &auth->request.data, &auth->request.len) !=
        ETCD_OK)
        st = etcd__fail_memory(&auth->error);
    auth->request.len += ETCD__FRAME_HEADER;
    etcd__secret_clear(&password);
    return st;
}

static void start_login(struct etcd__auth *auth)
{
    struct etcd_client *client = auth->client;
    struct etcd__reactor *reactor = etcd__client_reactor(client);
    struct etcd__call_config config = {
        .method = &authenticate,
        .ops = &login_ops,
        .deadline_ms = reactor->now_ms + client->config.dial_timeout_ms,
        .max_recv = client->config.max_recv_bytes,
        .no_token = true,
        .secret = true,
        .avoid = auth->avoid,
    };
    etcd_status st = make_request(auth);

    if (st != ETCD_OK) {
        etcd__error_prefix(&auth->error, "login: client '%s'", etcd__client_label(client));
        finish(auth, st);
        return;
    }
    auth->state = ETCD__AUTH_RUNNING;
    etcd__secret_clear(&auth->token);
    etcd__count(&client->metrics.logins, 1);
    etcd__call_start(&auth->call, client->channel, &config);
    etcd__call_send(&auth->call, &auth->request);
    auth->limit_ms = config.deadline_ms;
    etcd__timer_arm(reactor, &auth->timer, config.deadline_ms);
}

/* ---- for the rest of the client -------------------------------------------------------------------- */

/* Reads the given token. *ret_new: it is another one than before. */
static etcd_status read_given(struct etcd__auth *auth, bool *ret_new, etcd_error *reterr)
{
    struct etcd__secret token = {0};
    etcd_status st = etcd__config_token(&auth->client->config, &token, reterr);

    *ret_new = false;
    if (st != ETCD_OK)
        return st;
    if (etcd__secret_equal(&token, &auth->token)) {
        etcd__secret_clear(&token);
        return ETCD_OK;
    }
    if (!etcd__channel_set_token(auth->client->channel, token.data)) {
        etcd__secret_clear(&token);
        return etcd__fail_memory(reterr);
    }
    etcd__secret_clear(&auth->token);
    auth->token = token;
    auth->generation++;
    *ret_new = true;
    return ETCD_OK;
}

etcd_status etcd__auth_init(struct etcd__auth *auth, struct etcd_client *client, etcd_error *reterr)
{
    bool is_new;

    auth->client = client;
    auth->timer.on_expire = on_timer;
    auth->done.run = on_done_task;
    etcd__list_init(&auth->waiters);
    auth->state = client->config.username != NULL ? ETCD__AUTH_EMPTY : ETCD__AUTH_NONE;
    if (client->config.token_kind == ETCD_SECRET_KIND_NONE)
        return ETCD_OK;
    auth->state = ETCD__AUTH_GIVEN;
    return read_given(auth, &is_new, reterr);
}

void etcd__auth_close(struct etcd__auth *auth, etcd_status status)
{
    (void)etcd__call_cancel(&auth->call);
    etcd__timer_disarm(etcd__client_reactor(auth->client), &auth->timer);
    etcd__task_cancel(&auth->done);
    etcd__secret_clear(&auth->token);
    (void)etcd__fail(&auth->error, status, "client '%s' was closed", etcd__client_label(auth->client));
    tell_waiters(auth, status, &auth->error);
}

void etcd__auth_wait(struct etcd__auth *auth, struct etcd__auth_waiter *waiter)
{
    etcd__list_push(&auth->waiters, &waiter->node);
    if (etcd__auth_ready(auth))
        finish(auth, ETCD_OK);
    else if (auth->state == ETCD__AUTH_EMPTY && !etcd__timer_armed(&auth->timer))
        start_login(auth);
}

void etcd__auth_unwait(struct etcd__auth_waiter *waiter)
{
    etcd__node_unlink(&waiter->node);
}

/* Another call may have found a new token since. */
static bool replace_given(struct etcd__auth *auth, uint64_t generation)
{
    bool is_new = false;
    etcd_error err;

    if (auth->generation != generation)
        return true;
    if (read_given(auth, &is_new, &err) != ETCD_OK)
        etcd__log(&auth->client->log, ETCD_LOG_WARN, "auth", "client '%s': the token was refused: %s",
                  etcd__client_label(auth->client), err.message);
    return is_new;
}

bool etcd__auth_reject(struct etcd__auth *auth, uint64_t generation)
{
    if (auth->state == ETCD__AUTH_GIVEN)
        return replace_given(auth, generation);
    if (auth->state == ETCD__AUTH_NONE)
        return false;
    if (auth->state == ETCD__AUTH_READY && auth->generation == generation)
        auth->state = ETCD__AUTH_EMPTY;
    return true;
}
