/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says of a client, over what the program says. See capp/etcd.h. */
#ifndef CAPP__ETCD_SETTINGS_H
#define CAPP__ETCD_SETTINGS_H

#include "capp/etcd.h"

/* Both together; the strings are the program's or the configuration's. */
struct capp__etcd_settings {
    etcd_client_opts opts;
    etcd_tls_opts tls; /* what opts.tls points to, if anything */
    capp_etcd_client_opts client_opts;
};

/*
 * Fills *settings. CAPP_E_INVALID_ARGUMENT when the options are from no version of the structs (in reterr),
 * or when something in the configuration is wrong: that is on the build's list already, and *ret_listed is
 * true.
 */
capp_status capp__etcd_settings_read(struct capp__etcd_settings *settings, capp_setup *setup,
                                     const char *name, const etcd_client_opts *opts,
                                     const capp_etcd_client_opts *client_opts, bool *ret_listed,
                                     capp_error *reterr);
/* Puts the place in front of an error about an option whose value came from the configuration. */
void capp__etcd_settings_blame(const capp_setup *setup, const char *name, capp_error *error);
/* Makes the keys known, and the number of names below etcd.clients that the configuration has. */
capp_status capp__etcd_settings_declare(capp_setup *setup);
const char *capp__etcd_settings_name(const capp_setup *setup, size_t index);

#endif
