/* SPDX-License-Identifier: Apache-2.0 */
/** @file export.h  How a public symbol of the host is declared. */
#ifndef CAPP_EXPORT_H
#define CAPP_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define CAPP_API __attribute__((visibility("default")))
#define CAPP_NODISCARD __attribute__((warn_unused_result))
#define CAPP_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#else
#define CAPP_API
#define CAPP_NODISCARD
#define CAPP_PRINTF(format_at, first_at)
#endif

#ifdef __cplusplus
#define CAPP_BEGIN_DECLS extern "C" {
#define CAPP_END_DECLS }
#else
#define CAPP_BEGIN_DECLS
#define CAPP_END_DECLS
#endif

#endif
