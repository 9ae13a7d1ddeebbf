/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_maintenance.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_INVALID_ARGUMENT = 3, CODE_FAILED_PRECONDITION = 9 };

static struct fake_answer_bytes pack(const ProtobufCMessage *message)
{
    struct fake_answer_bytes answer = {.data = malloc(protobuf_c_message_get_packed_size(message) + 1)};

    if (answer.data == NULL)
        abort();
    answer.len = protobuf_c_message_pack(message, answer.data);
    return answer;
}

static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
    void *message = protobuf_c_message_unpack(type, NULL, len, data);

    if (message == NULL)
        abort();
    return message;
}

void fake_maintenance_status(Etcd__Pb__StatusResponse *response, Etcd__Pb__DowngradeInfo *downgrade)
{
    static char alarm[] = "memberID:1 alarm:NOSPACE", storage[] = "3.6.0", target[] = "3.5.0";
    static char *errors[] = {alarm};

    etcd__pb__downgrade_info__init(downgrade);
    downgrade->enabled = true;
    downgrade->target_version = target;
    response->db_size = 1001;
    response->raft_index = 1003;
    response->raft_applied_index = 1005;
    response->errors = errors;
    response->n_errors = 1;
    response->db_size_in_use = 1006;
    response->storage_version = storage;
    response->db_size_quota = 1007;
    response->downgrade_info = downgrade;
}

static void withdraw(struct fake_maintenance *maintenance, size_t index)
{
    maintenance->count--;
    memmove(&maintenance->alarms[index], &maintenance->alarms[index + 1],
            (maintenance->count - index) * sizeof(maintenance->alarms[0]));
}

static struct fake_answer_bytes do_alarm(struct fake_maintenance *maintenance,
                                         Etcd__Pb__ResponseHeader *header, const uint8_t *data, size_t len)
{
    Etcd__Pb__AlarmRequest *request = unpack(&etcd__pb__alarm_request__descriptor, data, len);
    Etcd__Pb__AlarmResponse response = ETCD__PB__ALARM_RESPONSE__INIT;
    Etcd__Pb__AlarmMember members[FAKE_ALARMS], *list[FAKE_ALARMS];
    bool get = request->action == ETCD__PB__ALARM_REQUEST__ACTION__GET;

    response.alarms = list;
    for (size_t i = 0; i < maintenance->count;) {
        const struct fake_alarm alarm = maintenance->alarms[i];

        if (!get && (alarm.member_id != request->member_id || alarm.type != (int)request->alarm)) {
            i++;
            continue;
        }
        etcd__pb__alarm_member__init(&members[response.n_alarms]);
        members[response.n_alarms].member_id = alarm.member_id;
        members[response.n_alarms].alarm = (Etcd__Pb__AlarmType)alarm.type;
        list[response.n_alarms] = &members[response.n_alarms];
        response.n_alarms++;
        if (get)
            i++;
        else
            withdraw(maintenance, i);
    }
    response.header = header;
    protobuf_c_message_free_unpacked(&request->base, NULL);
    return pack(&response.base);
}

static struct fake_answer_bytes do_hash_kv(Etcd__Pb__ResponseHeader *header, const uint8_t *data, size_t len)
{
    Etcd__Pb__HashKvRequest *request = unpack(&etcd__pb__hash_kv_request__descriptor, data, len);
    Etcd__Pb__HashKvResponse response = ETCD__PB__HASH_KV_RESPONSE__INIT;

    response.header = header;
    response.hash = 2001;
    response.compact_revision = 2002;
    response.hash_revision = request->revision;
    protobuf_c_message_free_unpacked(&request->base, NULL);
    return pack(&response.base);
}

static struct fake_answer_bytes do_hash(Etcd__Pb__ResponseHeader *header)
{
    Etcd__Pb__HashResponse response = ETCD__PB__HASH_RESPONSE__INIT;

    response.header = header;
    response.hash = 3001;
    return pack(&response.base);
}

/* Member 2 can lead. */
static struct fake_answer_bytes do_move_leader(Etcd__Pb__ResponseHeader *header, const uint8_t *data,
                                               size_t len)
{
    Etcd__Pb__MoveLeaderRequest *request = unpack(&etcd__pb__move_leader_request__descriptor, data, len);
    Etcd__Pb__MoveLeaderResponse response = ETCD__PB__MOVE_LEADER_RESPONSE__INIT;
    bool known = request->target_id == 2;

    response.header = header;
    protobuf_c_message_free_unpacked(&request->base, NULL);
    if (known)
        return pack(&response.base);
    return (struct fake_answer_bytes){.code = CODE_FAILED_PRECONDITION,
                                      .message = "etcdserver: bad leader transferee"};
}

static struct fake_answer_bytes do_downgrade(Etcd__Pb__ResponseHeader *header, const uint8_t *data,
                                             size_t len)
{
    Etcd__Pb__DowngradeRequest *request = unpack(&etcd__pb__downgrade_request__descriptor, data, len);
    Etcd__Pb__DowngradeResponse response = ETCD__PB__DOWNGRADE_RESPONSE__INIT;
    char version[] = "3.6.0";
    bool wrong = strcmp(request->version, "3.1") == 0;

    response.header = header;
    response.version = version;
    protobuf_c_message_free_unpacked(&request->base, NULL);
    if (wrong)
        return (struct fake_answer_bytes){.code = CODE_INVALID_ARGUMENT,
                                          .message = "etcdserver: invalid downgrade target version"};
    return pack(&response.base);
}

static struct fake_answer_bytes do_defragment(Etcd__Pb__ResponseHeader *header)
{
    Etcd__Pb__DefragmentResponse response = ETCD__PB__DEFRAGMENT_RESPONSE__INIT;

    response.header = header;
    return pack(&response.base);
}

bool fake_maintenance_call(struct fake_maintenance *maintenance, Etcd__Pb__ResponseHeader *header,
                           const char *method, const uint8_t *data, size_t len,
                           struct fake_answer_bytes *ret_answer)
{
    if (strcmp(method, "Alarm") == 0)
        *ret_answer = do_alarm(maintenance, header, data, len);
    else if (strcmp(method, "Defragment") == 0)
        *ret_answer = do_defragment(header);
    else if (strcmp(method, "Hash") == 0)
        *ret_answer = do_hash(header);
    else if (strcmp(method, "HashKV") == 0)
        *ret_answer = do_hash_kv(header, data, len);
    else if (strcmp(method, "MoveLeader") == 0)
        *ret_answer = do_move_leader(header, data, len);
    else if (strcmp(method, "Downgrade") == 0)
        *ret_answer = do_downgrade(header, data, len);
    else
        return false;
    return true;
}
