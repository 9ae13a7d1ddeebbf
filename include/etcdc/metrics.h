/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file metrics.h
 * What a client has done so far, as numbers and as text for Prometheus.
 */
#ifndef ETCDC_METRICS_H
#define ETCDC_METRICS_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/**
 * Since the client was opened. Each number is exact; together they are no snapshot: others go on counting
 * while they are read. New ones are added at the end.
 */
typedef struct etcd_metrics {
    size_t size;         /**< sizeof this struct; set by ETCD_METRICS_INIT. */
    uint64_t calls;      /**< Calls that were begun: unary ones, watches and renewals not counted. */
    uint64_t failures;   /**< Calls that ended with another status than ETCD_OK. */
    uint64_t retries;    /**< Attempts of calls after the first had failed. */
    uint64_t hedges;     /**< Attempts on a second member while the first did not answer. */
    uint64_t logins;     /**< Logins that were sent. */
    uint64_t connects;   /**< Connections that became ready. */
    uint64_t losses;     /**< Connections that were lost, and attempts to connect that failed. */
    uint64_t bytes_sent; /**< Of HTTP/2, before TLS. */
    uint64_t bytes_received;
    uint64_t watch_events;   /**< Events of watches that arrived. */
    uint64_t watch_resumes;  /**< Watches that were created again after a break. */
    uint64_t lease_renewals; /**< Renewals that were sent. */
    uint64_t lease_losses;   /**< Leases that were lost while they were kept alive. */
    uint64_t outstanding;    /**< Now: calls under way. */
    uint64_t watches;        /**< Now: watches that run; one that was just closed may still be among them. */
    uint64_t leases;         /**< Now: leases that are kept alive; the same is true of them. */
} etcd_metrics;

/* clang-format off */
/** Initialises the struct, in C and C++. */
#define ETCD_METRICS_INIT {sizeof(etcd_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
/* clang-format on */

/**
 * Reads the numbers of a client. A closed client still answers.
 *
 * @param client  Borrowed.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @param[in,out] ret_metrics  From ETCD_METRICS_INIT: `size` says how many numbers the caller knows.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  An argument is NULL, or the size is not one.
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_client_metrics(const etcd_client *client, etcd_metrics *ret_metrics,
                                                        etcd_error *reterr);

/**
 * Writes the numbers of some clients in Prometheus' text format, version 0.0.4, with a NUL: one family for
 * each number (`etcd_client_calls_total`), one sample for each client, labelled `client="<name>"`. To be
 * served by the program where it likes, as `text/plain; version=0.0.4`. Clients of one program should have
 * different names.
 *
 * @param clients  `count` of them; none may be NULL.
 * @param count  How many there are.
 * @param dst  Where the text goes to; may be NULL when @p size is 0.
 * @param size  Bytes of @p dst.
 * @return The length of the whole text, which was cut if it is >= size; 0 when out of memory.
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API size_t etcd_metrics_text(const etcd_client *const *clients, size_t count, char *dst, size_t size);

ETCD_END_DECLS

#endif
