/* SPDX-License-Identifier: Apache-2.0 */
/* The election: first place in a line, with a value that the others see. observer.c follows one. */
#include "etcdc/election.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "etcdc/txn.h"
#include "recipes/election_name.h"
#include "recipes/line.h"

#include <string.h>

enum { SHOWN_MAX = 96 };

struct etcd_election {
    struct etcd__line *line;
    etcd_election_lost_fn *on_lost;
    void *user_data;
};

static void on_line_lost(void *user, etcd_status status, const etcd_error *err)
{
    struct etcd_election *election = user;

    if (election->on_lost != NULL)
        election->on_lost(election, status, err, election->user_data);
}

static void name_election(etcd_error *reterr, const char *what, etcd_bytes name)
{
    char shown[SHOWN_MAX];

    etcd__error_prefix(reterr, "%s \"%s\"", what, etcd__escape(shown, sizeof(shown), name.data, name.len));
}

/* ---- the lead -------------------------------------------------------------------------------------- */

etcd_status etcd_election_campaign(etcd_client *client, etcd_bytes name, etcd_bytes value,
                                   const etcd_election_opts *opts, etcd_election **ret_election,
                                   etcd_error *reterr)
{
    etcd_election_opts own = ETCD_ELECTION_OPTS_INIT;
    struct etcd__line_opts how = {.what = "election", .value = value};
    struct etcd_election *election;
    etcd_status st;

    st = etcd__opts_import(&own, sizeof(own), opts, "election", reterr);
    if (st == ETCD_OK && ret_election == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_election is NULL");
    if (st != ETCD_OK)
        return st;
    election = ETCD__NEW(struct etcd_election);
    if (election == NULL)
        return etcd__fail_memory(reterr);
    election->on_lost = own.on_lost;
    election->user_data = own.user_data;
    how.ttl_s = own.ttl_s;
    how.timeout_ms = own.timeout_ms;
    how.try_only = own.try_campaign;
    how.allow_caller_drive = own.allow_caller_drive;
    st = etcd__line_acquire(client, name, &how, on_line_lost, election, &election->line, reterr);
    if (st == ETCD_OK)
        *ret_election = election;
    else
        etcd__free(election);
    return st;
}

bool etcd_election_leads(const etcd_election *election)
{
    return election != NULL && etcd__session_alive(election->line->session);
}

int64_t etcd_election_fence(const etcd_election *election)
{
    return election == NULL ? 0 : election->line->fence;
}

etcd_bytes etcd_election_key(const etcd_election *election)
{
    return election == NULL ? etcd_bytes_of(NULL, 0) : etcd__line_key(election->line);
}

int64_t etcd_election_lease_id(const etcd_election *election)
{
    return election == NULL ? 0 : etcd__session_lease(election->line->session).id;
}

/* Writes the value if the key is still the one that we created. */
static etcd_status put_fenced(const struct etcd__line *line, etcd_bytes value, int64_t timeout_ms,
                              etcd_error *err)
{
    etcd_bytes key = etcd__line_key(line);
    etcd_txn_result *result = NULL;
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_if(txn, key, ETCD_CMP_CREATE_REVISION, ETCD_CMP_EQUAL, line->fence);
    etcd_txn_put(txn, ETCD_TXN_THEN, key, value,
                 ETCD_PUT_OPTS(.lease_id = etcd__session_lease(line->session).id));
    st = etcd_txn_commit(line->client, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), &result, err);
    etcd_txn_free(txn);
    if (st == ETCD_E_LEASE_NOT_FOUND || (st == ETCD_OK && !etcd_txn_result_succeeded(result)))
        st = etcd__fail(err, ETCD_E_LEASE_LOST, "the lead is lost: its key or its lease is gone");
    etcd_txn_result_free(result);
    return st;
}

etcd_status etcd_election_proclaim(etcd_election *election, etcd_bytes value, int64_t timeout_ms,
                                   etcd_error *reterr)
{
    etcd_error err;
    etcd_status st;

    if (election == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "election is NULL");
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "timeout_ms is negative: %lld",
                          (long long)timeout_ms);
    st = etcd__session_check(election->line->session, &err);
    if (st == ETCD_OK)
        st = put_fenced(election->line, value, timeout_ms, &err);
    if (st != ETCD_OK) {
        etcd__error_copy(reterr, &err);
        name_election(reterr, "proclaim in election", etcd__line_name(election->line));
    }
    return st;
}

etcd_status etcd_election_resign(etcd_election *election, int64_t timeout_ms, etcd_error *reterr)
{
    etcd_status st;

    if (election == NULL)
        return ETCD_OK;
    st = etcd__line_release(election->line, "resignation from election", timeout_ms, reterr);
    etcd__free(election);
    return st;
}

/* ---- the others ------------------------------------------------------------------------------------ */

char *etcd__election_dir(etcd_bytes name)
{
    char *dir = name.len > SIZE_MAX - 1 ? NULL : etcd__malloc(name.len + 1);

    if (dir != NULL) {
        memcpy(dir, name.data, name.len);
        dir[name.len] = '/';
    }
    return dir;
}

etcd_status etcd__election_check(const etcd_client *client, etcd_bytes name, etcd_error *reterr)
{
    if (client == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "client is NULL");
    if (name.len == 0 || name.data == NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "name is empty");
    return ETCD_OK;
}

static etcd_status get_first(etcd_client *client, etcd_bytes dir, int64_t timeout_ms,
                             etcd_get_result **ret_result, etcd_error *err)
{
    etcd_get_result *result = NULL;
    etcd_status st;

    st = etcd_get(client, dir,
                  ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                                .sort_order = ETCD_SORT_ASCEND, .limit = 1, .timeout_ms = timeout_ms),
                  &result, err);
    if (st == ETCD_OK && etcd_get_result_count(result) == 0)
        st = etcd__fail(err, ETCD_E_NOT_FOUND, "nobody leads");
    if (st == ETCD_OK)
        *ret_result = result;
    else
        etcd_get_result_free(result);
    return st;
}

etcd_status etcd_election_leader(etcd_client *client, etcd_bytes name, int64_t timeout_ms,
                                 etcd_get_result **ret_leader, etcd_error *reterr)
{
    etcd_status st = etcd__election_check(client, name, reterr);
    etcd_error err;
    char *dir;

    if (st == ETCD_OK && ret_leader == NULL)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "ret_leader is NULL");
    if (st != ETCD_OK)
        return st;
    dir = etcd__election_dir(name);
    if (dir == NULL)
        return etcd__fail_memory(reterr);
    st = get_first(client, etcd_bytes_of(dir, name.len + 1), timeout_ms, ret_leader, &err);
    etcd__free(dir);
    if (st != ETCD_OK) {
        etcd__error_copy(reterr, &err);
        name_election(reterr, "leader of election", name);
    }
    return st;
}
