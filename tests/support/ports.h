/* SPDX-License-Identifier: Apache-2.0 */
/* Loopback TCP ports that no other test takes, although nothing listens there at the moment. */
#ifndef ETCDC_TESTS_PORTS_H
#define ETCDC_TESTS_PORTS_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory holds none. */
struct port {
    uint16_t number;
    int lock; /* held while the port is ours; meaningless while number is 0 */
};

/*
 * Finds a port of 127.0.0.1 that is free and reserves it among all tests of this machine until
 * port_release() or the end of the process. It lies below the range from which the system takes
 * the local ports of outgoing connections: a server can be restarted on it at any time.
 */
bool port_hold(struct port *port);
void port_release(struct port *port);

#endif
