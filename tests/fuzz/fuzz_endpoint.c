/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an endpoint: refused with a message, or taken apart into parts that make sense. */
#include "net/endpoint.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const struct etcd__endpoint *endpoint)
{
    if (endpoint->host[0] == '\0' || endpoint->text[0] == '\0' || endpoint->authority[0] == '\0')
        abort();
    if (!endpoint->is_unix && endpoint->port == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct etcd__endpoint endpoint;
    etcd_error err = {.status = ETCD_OK};
    char *text = etcd__memdup(data, size);

    if (text == NULL)
        return 0;
    if (etcd__endpoint_parse(text, &endpoint, &err) == ETCD_OK) {
        check_endpoint(&endpoint);
        etcd__endpoint_deinit(&endpoint);
    } else if (err.message[0] == '\0') {
        abort();
    }
    etcd__free(text);
    return 0;
}
