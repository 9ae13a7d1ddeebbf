/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a member is ready: asked over HTTP on its port for metrics, which speaks no TLS whatever clients
 * speak. */
#ifndef ETCDC_TESTS_HEALTH_H
#define ETCDC_TESTS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* One question; waits a second at most. */
bool health_is_good(uint16_t port);

#endif
