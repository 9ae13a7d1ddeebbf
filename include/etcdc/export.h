/* SPDX-License-Identifier: Apache-2.0 */
/** @file export.h  How a public symbol is declared. */
#ifndef ETCDC_EXPORT_H
#define ETCDC_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define ETCD_API __attribute__((visibility("default")))
#define ETCD_NODISCARD __attribute__((warn_unused_result))
#else
#define ETCD_API
#define ETCD_NODISCARD
#endif

#ifdef __cplusplus
#define ETCD_BEGIN_DECLS extern "C" {
#define ETCD_END_DECLS }
#else
#define ETCD_BEGIN_DECLS
#define ETCD_END_DECLS
#endif

#endif
