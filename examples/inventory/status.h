/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators ask for:
 *
 *     GET /live      200: the process is sound            503: restart it
 *     GET /ready     200: it can do its work              503: send clients elsewhere
 *     GET /health    both, and of each part how it is
 *     GET /metrics   numbers, for Prometheus
 *     GET /config    the effective configuration, without secrets
 *     GET /services  what the program is made of
 */
#ifndef INVENTORY_STATUS_H
#define INVENTORY_STATUS_H

#include <capp.h>

typedef struct status_page status_page;
CAPP_TYPE_DECLARE(status_page);
extern const capp_service status_service;

#endif
