/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake server answers to the calls about a member. Part of fake_store.h. */
#ifndef TESTS_SUPPORT_FAKE_MAINTENANCE_H
#define TESTS_SUPPORT_FAKE_MAINTENANCE_H

#include "support/fake_store.h"
#include "wire/messages.h"

enum { FAKE_ALARMS = 8 };

struct fake_maintenance {
    struct fake_alarm alarms[FAKE_ALARMS];
    size_t count;
};

/* Fills what the store does not know; each field has a value of its own. */
void fake_maintenance_status(Etcd__Pb__StatusResponse *response, Etcd__Pb__DowngradeInfo *downgrade);
/* False: it is none of its methods. */
bool fake_maintenance_call(struct fake_maintenance *maintenance, Etcd__Pb__ResponseHeader *header,
                           const char *method, const uint8_t *data, size_t len,
                           struct fake_answer_bytes *ret_answer);

#endif
