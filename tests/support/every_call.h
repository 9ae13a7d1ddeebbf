/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of one request and one answer, with the method that it uses, for tests that do the same with
 * each. A result is looked at whole, so that a sanitizer sees what is wrong with it, and freed.
 */
#ifndef TESTS_SUPPORT_EVERY_CALL_H
#define TESTS_SUPPORT_EVERY_CALL_H

#include <etcdc.h>
#include <protobuf-c/protobuf-c.h>

struct every_call {
    const char *method; /* by its last name, as with fake_etcd.h */
    const ProtobufCMessageDescriptor *answer;
    /* `endpoint`: of the member, for calls that go to one. */
    etcd_status (*run)(etcd_client *client, const char *endpoint, etcd_error *err);
    bool writes;
    bool reads_answer; /* the answer says more than "done", and is decoded */
};

extern const struct every_call every_call[];
extern const size_t every_call_count;

#endif
