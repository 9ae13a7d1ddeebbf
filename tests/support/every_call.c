/* SPDX-License-Identifier: Apache-2.0 */
#include "support/every_call.h"

#include "wire/messages.h"

#include <string.h>

static const char *const peer_urls[] = {"http://192.0.2.9:2380", NULL};

/* Reads all of it. */
static void look(const void *data, size_t len)
{
    volatile unsigned sum = 0;

    for (size_t i = 0; data != NULL && i < len; i++)
        sum = sum + ((const unsigned char *)data)[i];
}

static void look_at_text(const char *text)
{
    look(text, text == NULL ? 0 : strlen(text));
}

static void look_at_kv(const etcd_kv *kv)
{
    if (kv == NULL)
        return;
    look(kv->key.data, kv->key.len);
    look(kv->value.data, kv->value.len);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

static etcd_status get(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_get_result *result = NULL;
    etcd_status st = etcd_get(client, etcd_cstr("k"), NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_get_result_count(result); i++)
        look_at_kv(etcd_get_result_kv(result, i));
    etcd_get_result_free(result);
    return st;
}

static etcd_status put(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_put_result *result = NULL;
    etcd_status st = etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.prev_kv = true), &result,
                              err);

    (void)endpoint;
    if (st == ETCD_OK)
        look_at_kv(etcd_put_result_prev_kv(result));
    etcd_put_result_free(result);
    return st;
}

static etcd_status delete (etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_delete_result *result = NULL;
    etcd_status st = etcd_delete(client, etcd_cstr("x"), NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_delete_result_prev_count(result); i++)
        look_at_kv(etcd_delete_result_prev_kv(result, i));
    etcd_delete_result_free(result);
    return st;
}

static etcd_status compact(etcd_client *client, const char *endpoint, etcd_error *err)
{
    (void)endpoint;
    return etcd_compact(client, 1, NULL, err);
}

static etcd_status commit(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_status st;

    (void)endpoint;
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("w"), NULL);
    st = etcd_txn_commit(client, txn, NULL, &result, err);
    for (size_t i = 0; st == ETCD_OK && i < etcd_txn_result_count(result); i++)
        (void)etcd_txn_result_kind(result, i);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return st;
}

/* ---- leases ----------------------------------------------------------------------------------------- */

static etcd_status grant(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_lease lease;

    (void)endpoint;
    return etcd_lease_grant(client, 60, NULL, &lease, err);
}

static etcd_status revoke(etcd_client *client, const char *endpoint, etcd_error *err)
{
    (void)endpoint;
    return etcd_lease_revoke(client, 7, NULL, err);
}

static etcd_status renew_once(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_lease lease;

    (void)endpoint;
    return etcd_lease_keepalive_once(client, 7, NULL, &lease, err);
}

static etcd_status time_to_live(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_ttl_result *result = NULL;
    etcd_status st = etcd_lease_time_to_live(client, 7, NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_ttl_result_key_count(result); i++)
        look(etcd_ttl_result_key(result, i).data, etcd_ttl_result_key(result, i).len);
    etcd_ttl_result_free(result);
    return st;
}

static etcd_status list_leases(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_leases_result *result = NULL;
    etcd_status st = etcd_lease_list(client, NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_leases_result_count(result); i++)
        (void)etcd_leases_result_id(result, i);
    etcd_leases_result_free(result);
    return st;
}

/* ---- members ---------------------------------------------------------------------------------------- */

static etcd_status take_members(etcd_status st, etcd_members_result *result)
{
    const etcd_member *added = st == ETCD_OK ? etcd_members_result_added(result) : NULL;

    for (size_t i = 0; st == ETCD_OK && i < etcd_members_result_count(result); i++)
        look_at_text(etcd_members_result_member(result, i)->name);
    if (added != NULL)
        look_at_text(added->name);
    etcd_members_result_free(result);
    return st;
}

static etcd_status list_members(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_members_result *result = NULL;
    etcd_status st = etcd_member_list(client, NULL, &result, err);

    (void)endpoint;
    return take_members(st, result);
}

static etcd_status add_member(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_members_result *result = NULL;
    etcd_status st = etcd_member_add(client, peer_urls, NULL, &result, err);

    (void)endpoint;
    return take_members(st, result);
}

static etcd_status remove_member(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_members_result *result = NULL;
    etcd_status st = etcd_member_remove(client, 7, NULL, &result, err);

    (void)endpoint;
    return take_members(st, result);
}

static etcd_status update_member(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_members_result *result = NULL;
    etcd_status st = etcd_member_update(client, 7, peer_urls, NULL, &result, err);

    (void)endpoint;
    return take_members(st, result);
}

static etcd_status promote_member(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_members_result *result = NULL;
    etcd_status st = etcd_member_promote(client, 7, NULL, &result, err);

    (void)endpoint;
    return take_members(st, result);
}

/* ---- users and roles -------------------------------------------------------------------------------- */

static etcd_status auth_status(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_auth_status_result *result = NULL;
    etcd_status st = etcd_auth_status(client, NULL, &result, err);

    (void)endpoint;
    etcd_auth_status_result_free(result);
    return st;
}

static etcd_status add_user(etcd_client *client, const char *endpoint, etcd_error *err)
{
    (void)endpoint;
    return etcd_user_add(client, "u", ETCD_SECRET_TEXT("p"), NULL, err);
}

static etcd_status delete_user(etcd_client *client, const char *endpoint, etcd_error *err)
{
    (void)endpoint;
    return etcd_user_delete(client, "u", NULL, err);
}

static etcd_status grant_role(etcd_client *client, const char *endpoint, etcd_error *err)
{
    (void)endpoint;
    return etcd_user_grant_role(client, "u", "r", NULL, err);
}

static etcd_status get_user(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_user_result *result = NULL;
    etcd_status st = etcd_user_get(client, "u", NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_user_result_role_count(result); i++)
        look_at_text(etcd_user_result_role(result, i));
    etcd_user_result_free(result);
    return st;
}

static etcd_status list_users(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_users_result *result = NULL;
    etcd_status st = etcd_user_list(client, NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_users_result_count(result); i++)
        look_at_text(etcd_users_result_name(result, i));
    etcd_users_result_free(result);
    return st;
}

static etcd_status get_role(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_role_result *result = NULL;
    etcd_status st = etcd_role_get(client, "r", NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_role_result_permission_count(result); i++) {
        const etcd_permission *permission = etcd_role_result_permission(result, i);

        look(permission->key.data, permission->key.len);
        look(permission->range_end.data, permission->range_end.len);
    }
    etcd_role_result_free(result);
    return st;
}

static etcd_status list_roles(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_roles_result *result = NULL;
    etcd_status st = etcd_role_list(client, NULL, &result, err);

    (void)endpoint;
    for (size_t i = 0; st == ETCD_OK && i < etcd_roles_result_count(result); i++)
        look_at_text(etcd_roles_result_name(result, i));
    etcd_roles_result_free(result);
    return st;
}

/* ---- maintenance ------------------------------------------------------------------------------------ */

static etcd_status member_status(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_member_status_result *result = NULL;
    etcd_status st = etcd_member_status(client, endpoint, NULL, &result, err);

    if (st == ETCD_OK)
        look_at_text(result->version);
    etcd_member_status_result_free(result);
    return st;
}

static etcd_status list_alarms(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_alarm_result *result = NULL;
    etcd_status st = etcd_alarm_list(client, endpoint, NULL, &result, err);

    for (size_t i = 0; st == ETCD_OK && i < etcd_alarm_result_count(result); i++)
        look(etcd_alarm_result_at(result, i), sizeof(etcd_alarm));
    etcd_alarm_result_free(result);
    return st;
}

static etcd_status defragment(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_defragment(client, endpoint, NULL, err);
}

static etcd_status hash(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_hash_result result;

    return etcd_hash(client, endpoint, NULL, &result, err);
}

static etcd_status hash_kv(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_hash_result result;

    return etcd_hash_kv(client, endpoint, 0, NULL, &result, err);
}

static etcd_status move_leader(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_move_leader(client, endpoint, 7, NULL, err);
}

static etcd_status downgrade(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_downgrade_result *result = NULL;
    etcd_status st = etcd_downgrade(client, endpoint, ETCD_DOWNGRADE_VALIDATE, "3.4.0", NULL, &result, err);

    if (st == ETCD_OK)
        look_at_text(etcd_downgrade_result_version(result));
    etcd_downgrade_result_free(result);
    return st;
}

static bool look_at_part(const etcd_backup_part *part, void *user_data)
{
    (void)user_data;
    look(part->data.data, part->data.len);
    look_at_text(part->version);
    return true;
}

static etcd_status backup(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_backup_info info;

    return etcd_backup_read(client, ETCD_BACKUP_OPTS(.endpoint = endpoint, .on_part = look_at_part), &info,
                            err);
}

#define TYPE(name) &etcd__pb__##name##__descriptor

const struct every_call every_call[] = {
    {"Range", TYPE(range_response), get, false, true},
    {"Put", TYPE(put_response), put, true, true},
    {"DeleteRange", TYPE(delete_range_response), delete, true, true},
    {"Compact", TYPE(compaction_response), compact, true, false},
    {"Txn", TYPE(txn_response), commit, true, true},
    {"LeaseGrant", TYPE(lease_grant_response), grant, true, true},
    {"LeaseRevoke", TYPE(lease_revoke_response), revoke, true, false},
    {"LeaseKeepAlive", TYPE(lease_keep_alive_response), renew_once, false, true},
    {"LeaseTimeToLive", TYPE(lease_time_to_live_response), time_to_live, false, true},
    {"LeaseLeases", TYPE(lease_leases_response), list_leases, false, true},
    {"MemberList", TYPE(member_list_response), list_members, false, true},
    {"MemberAdd", TYPE(member_add_response), add_member, true, true},
    {"MemberRemove", TYPE(member_remove_response), remove_member, true, true},
    {"MemberUpdate", TYPE(member_update_response), update_member, true, true},
    {"MemberPromote", TYPE(member_promote_response), promote_member, true, true},
    {"AuthStatus", TYPE(auth_status_response), auth_status, false, true},
    {"UserAdd", TYPE(auth_user_add_response), add_user, true, false},
    {"UserDelete", TYPE(auth_user_delete_response), delete_user, true, false},
    {"UserGrantRole", TYPE(auth_user_grant_role_response), grant_role, true, false},
    {"UserGet", TYPE(auth_user_get_response), get_user, false, true},
    {"UserList", TYPE(auth_user_list_response), list_users, false, true},
    {"RoleGet", TYPE(auth_role_get_response), get_role, false, true},
    {"RoleList", TYPE(auth_role_list_response), list_roles, false, true},
    {"Status", TYPE(status_response), member_status, false, true},
    {"Alarm", TYPE(alarm_response), list_alarms, false, true},
    {"Defragment", TYPE(defragment_response), defragment, true, false},
    {"Hash", TYPE(hash_response), hash, false, true},
    {"HashKV", TYPE(hash_kv_response), hash_kv, false, true},
    {"MoveLeader", TYPE(move_leader_response), move_leader, true, false},
    {"Downgrade", TYPE(downgrade_response), downgrade, true, true},
    {"Snapshot", TYPE(snapshot_response), backup, false, true},
};
const size_t every_call_count = sizeof(every_call) / sizeof(every_call[0]);
