/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made on the spot: nothing in the tree expires. */
#ifndef ETCDC_TESTS_CERTS_H
#define ETCDC_TESTS_CERTS_H

#include <stdbool.h>

/* The files that certs_write() leaves in its directory, PEM. Each certificate has its key beside it. */
#define CERTS_CA "ca.pem"         /* the authority of all but the last */
#define CERTS_SERVER "server.pem" /* for 127.0.0.1, ::1 and localhost */
#define CERTS_SERVER_KEY "server-key.pem"
#define CERTS_EXPIRED "expired.pem" /* the same, until yesterday */
#define CERTS_EXPIRED_KEY "expired-key.pem"
#define CERTS_OTHER_HOST "other-host.pem" /* for other.example */
#define CERTS_OTHER_HOST_KEY "other-host-key.pem"
#define CERTS_CLIENT "client.pem" /* a client's */
#define CERTS_CLIENT_KEY "client-key.pem"
#define CERTS_WRONG_CA "wrong-ca.pem" /* another authority, that signed a client's certificate too */
#define CERTS_WRONG_CLIENT "wrong-client.pem"
#define CERTS_WRONG_CLIENT_KEY "wrong-client-key.pem"

bool certs_write(const char *dir);

/* An RSA key pair for JWT. */
#define CERTS_JWT_KEY "jwt-key.pem"
#define CERTS_JWT_PUBLIC "jwt-public.pem"

bool certs_write_jwt(const char *dir);

#endif
