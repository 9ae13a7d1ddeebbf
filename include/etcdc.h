/* SPDX-License-Identifier: Apache-2.0 */
/** @file etcdc.h  The etcd v3 client: includes every header of it. */
#ifndef ETCDC_H
#define ETCDC_H

#include <etcdc/admin.h>
#include <etcdc/auth.h>
#include <etcdc/backup.h>
#include <etcdc/client.h>
#include <etcdc/cluster.h>
#include <etcdc/discovery.h>
#include <etcdc/election.h>
#include <etcdc/error.h>
#include <etcdc/kv.h>
#include <etcdc/lease.h>
#include <etcdc/lock.h>
#include <etcdc/loop.h>
#include <etcdc/maintenance.h>
#include <etcdc/memory.h>
#include <etcdc/metrics.h>
#include <etcdc/op.h>
#include <etcdc/range.h>
#include <etcdc/registry.h>
#include <etcdc/txn.h>
#include <etcdc/types.h>
#include <etcdc/version.h>
#include <etcdc/view.h>
#include <etcdc/watch.h>

#endif
