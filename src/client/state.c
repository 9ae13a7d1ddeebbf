/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state.h"

#include "client/client.h"

/* Moves on to the next state that was not told yet. False: there is none. */
static bool next(struct etcd_client *client, etcd_client_state *ret_state, etcd_error *ret_lost)
{
    struct etcd__client_state *state = &client->state;
    bool any = false, was_ready;

    (void)pthread_mutex_lock(&client->shared.mutex);
    was_ready = state->told == ETCD_CLIENT_READY;
    *ret_lost = (etcd_error){.status = ETCD_OK};
    if (state->changes > 0) {
        any = true;
        state->changes--;
        state->told = state->told == ETCD_CLIENT_CONNECTING ? ETCD_CLIENT_READY : ETCD_CLIENT_CONNECTING;
        if (was_ready)
            etcd__error_copy(ret_lost, &state->lost);
    } else if (state->closed && state->told != ETCD_CLIENT_CLOSED) {
        any = true;
        state->told = ETCD_CLIENT_CLOSED;
    }
    *ret_state = state->told;
    (void)pthread_mutex_unlock(&client->shared.mutex);
    return any;
}

static void run(struct etcd__callback *callback)
{
    struct etcd_client *client = ETCD__CONTAINER(callback, struct etcd_client, state.callback);
    etcd_client_state state;
    etcd_error lost;

    etcd__client_ref(client);
    while (next(client, &state, &lost))
        client->config.on_state(client, state, lost.status == ETCD_OK ? NULL : &lost,
                                client->config.state_user_data);
    etcd__client_unref(client);
}

void etcd__client_state_init(struct etcd__client_state *state)
{
    atomic_init(&state->now, (int)ETCD_CLIENT_IDLE);
    state->callback.run = run;
}

void etcd__client_state_set(struct etcd_client *client, etcd_client_state now, const etcd_error *err)
{
    struct etcd__client_state *state = &client->state;

    atomic_store_explicit(&state->now, (int)now, memory_order_release);
    if (client->config.on_state == NULL)
        return;
    (void)pthread_mutex_lock(&client->shared.mutex);
    if (now == ETCD_CLIENT_CLOSED)
        state->closed = true;
    else
        state->changes++;
    if (err != NULL)
        etcd__error_copy(&state->lost, err);
    (void)pthread_mutex_unlock(&client->shared.mutex);
    etcd__loop_call_back(client->loop, &state->callback);
}

void etcd__client_state_finish(struct etcd_client *client)
{
    if (client->config.on_state != NULL)
        (void)etcd__loop_finish_callback(client->loop, &client->state.callback);
}

static void note(struct etcd_client *client, etcd_error *where, const etcd_error *err)
{
    (void)pthread_mutex_lock(&client->shared.mutex);
    if (err != NULL)
        etcd__error_copy(where, err);
    else
        where->status = ETCD_OK;
    (void)pthread_mutex_unlock(&client->shared.mutex);
}

void etcd__client_note_connect(struct etcd_client *client, const etcd_error *err)
{
    note(client, &client->shared.unreachable, err);
}

void etcd__client_note_login(struct etcd_client *client, const etcd_error *err)
{
    note(client, &client->shared.refused, err);
}

/* Says why in `err`; its status is ETCD_OK when there is no reason. */
static void find_trouble(struct etcd_client *client, etcd_client_state state, etcd_error *err)
{
    err->status = ETCD_OK;
    (void)pthread_mutex_lock(&client->shared.mutex);
    if (state == ETCD_CLIENT_CONNECTING) {
        bool failed = client->shared.unreachable.status != ETCD_OK;

        (void)etcd__fail(err, ETCD_E_UNAVAILABLE, "client '%s': not connected: %s",
                         etcd__client_label(client),
                         failed ? client->shared.unreachable.message : "still connecting");
        err->flags |= ETCD_ERROR_RETRYABLE;
    } else if (client->shared.refused.status != ETCD_OK) {
        etcd__error_copy(err, &client->shared.refused);
    }
    (void)pthread_mutex_unlock(&client->shared.mutex);
}

etcd_status etcd_client_trouble(const etcd_client *client, etcd_error *reterr)
{
    struct etcd_client *own = (struct etcd_client *)(uintptr_t)client; /* for its mutex */
    etcd_status st = etcd__client_check(client, reterr);
    etcd_error err;

    if (st != ETCD_OK)
        return st;
    find_trouble(own, etcd_client_state_now(client), &err);
    if (err.status != ETCD_OK && reterr != NULL)
        *reterr = err;
    return err.status;
}

etcd_client_state etcd_client_state_now(const etcd_client *client)
{
    struct etcd_client *own = (struct etcd_client *)(uintptr_t)client; /* for its atomics */

    if (etcd__client_check(client, NULL) != ETCD_OK)
        return ETCD_CLIENT_CLOSED;
    return (etcd_client_state)atomic_load_explicit(&own->state.now, memory_order_acquire);
}
