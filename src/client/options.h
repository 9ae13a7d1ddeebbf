/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the options that a user gave to the effective ones: defaults, checks, deep copies; and the text that
 * shows them.
 */
#ifndef ETCD__CLIENT_OPTIONS_H
#define ETCD__CLIENT_OPTIONS_H

#include "client/client.h"

/*
 * Also reads the secret once, so that a missing source is found at once. On failure *config is to be given
 * back too.
 */
etcd_status etcd__config_make(const etcd_client_opts *opts, struct etcd__client_config *config,
                              etcd_error *reterr);
void etcd__config_deinit(struct etcd__client_config *config);
/*
 * Reads a secret from where it comes from. ETCD_E_INVALID_ARGUMENT or ETCD_E_IO, naming the source, never
 * the secret.
 */
etcd_status etcd__config_password(const struct etcd__client_config *config, struct etcd__secret *ret_password,
                                  etcd_error *reterr);
/* The same for the token that was issued elsewhere. */
etcd_status etcd__config_token(const struct etcd__client_config *config, struct etcd__secret *ret_token,
                               etcd_error *reterr);
/* The client has something to show who it is. */
static inline bool etcd__config_has_credentials(const struct etcd__client_config *config)
{
    return config->username != NULL || config->token_kind != ETCD_SECRET_KIND_NONE;
}
/* The endpoint of this configuration goes over TLS. */
bool etcd__config_uses_tls(const struct etcd__client_config *config, const struct etcd__endpoint *endpoint);

#endif
