// Passing absl::Status up: RW_RETURN_IF_ERROR(expr) and RW_ASSIGN_OR_RETURN(lhs, expr).
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RW_CONCAT_INNER_(a, b) a##b
#define RW_CONCAT_(a, b) RW_CONCAT_INNER_(a, b)

// Evaluates an absl::Status; returns it from the calling function unless it is OK.
#define RW_RETURN_IF_ERROR(expr)                                \
  do {                                                          \
    if (::absl::Status rw_status_ = (expr); !rw_status_.ok()) { \
      return rw_status_;                                        \
    }                                                           \
  } while (false)

// RW_ASSIGN_OR_RETURN(auto value, F()): declares or assigns `value` from an
// absl::StatusOr, or returns its status.
#define RW_ASSIGN_OR_RETURN(lhs, expr) \
  RW_ASSIGN_OR_RETURN_IMPL_(RW_CONCAT_(rw_status_or_, __LINE__), lhs, expr)
#define RW_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return std::move(tmp).status();  \
  lhs = std::move(tmp).value()
