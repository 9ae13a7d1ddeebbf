/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay in front of a server that cuts its connections: each one after a number of bytes of its own,
 * counted in one direction or the other, in order or with a reset. Which they are comes from the seed; when
 * they come is the network's affair.
 */
#ifndef TESTS_SUPPORT_CUT_RELAY_H
#define TESTS_SUPPORT_CUT_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cut_relay;

/* `endpoint` is the server's, "127.0.0.1:port". NULL: reason printed. */
struct cut_relay *cut_relay_start(const char *endpoint, uint64_t seed);
/* "127.0.0.1:port", for clients. */
const char *cut_relay_endpoint(const struct cut_relay *relay);
/* Connections that were cut so far. */
size_t cut_relay_cuts(const struct cut_relay *relay);
/* From now on connections live as long as they like; those that are to be cut still are. */
void cut_relay_calm(struct cut_relay *relay);
/* A black hole: nothing moves and nothing is accepted, connections stay. Ends with `held` false: all goes on,
 * late. */
void cut_relay_hold(struct cut_relay *relay, bool held);
/* NULL is ignored. */
void cut_relay_stop(struct cut_relay *relay);

/* From the environment's ETCDC_TEST_SEED, or another one each time; printed, so that it can be given again.
 */
uint64_t cut_relay_seed(void);

#endif
