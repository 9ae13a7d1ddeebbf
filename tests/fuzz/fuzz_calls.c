/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the answer to any call of a client on a scripted network: the first byte chooses the call, the
 * rest is the message. The call says what it makes of it, its result can be looked at and freed, nothing
 * leaks.
 */
#include "runtime/loop.h"
#include "support/alloc_fail.h"
#include "support/every_call.h"
#include "support/fake_env.h"
#include "support/fake_etcd.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void call(etcd_client *client, struct fake_etcd *fake, const uint8_t *data, size_t size)
{
    const struct every_call *which = &every_call[data[0] % every_call_count];
    const struct fake_step step = {.what = STEP_MESSAGE, .message = (const char *)data + 1, .size = size - 1};
    etcd_error err = {.status = ETCD_OK};
    etcd_status st;

    fake_etcd_next(fake, which->method, &step);
    st = which->run(client, "192.0.2.1:2379", &err);
    if (st != ETCD_OK && (err.status != st || err.message[0] == '\0'))
        abort();
    /* It was this call that was answered. */
    if (fake_etcd_calls(fake, which->method) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t allocations = alloc_live();
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_client *client;
    etcd_loop *loop;

    if (size == 0)
        return 0;
    env = fake_env_new(1);
    fake = fake_etcd_attach(env, "192.0.2.1", 2379);
    if (etcd__loop_new_env(fake_env_table(env), &loop, NULL) != ETCD_OK ||
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = loop), &client,
                         NULL) != ETCD_OK)
        abort();
    call(client, fake, data, size);
    etcd_client_free(client);
    etcd_loop_free(loop);
    fake_etcd_free(fake);
    if (fake_open_sockets(env) != 0 || fake_misuses(env) != 0 || alloc_live() != allocations)
        abort();
    fake_env_free(env);
    return 0;
}
