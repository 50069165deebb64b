// Passing absl::Status up: SY_RETURN_IF_ERROR(expr) and SY_ASSIGN_OR_RETURN(lhs, expr).
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SY_CONCAT_INNER_(a, b) a##b
#define SY_CONCAT_(a, b) SY_CONCAT_INNER_(a, b)

// Evaluates an absl::Status; returns it from the calling function unless it is OK.
#define SY_RETURN_IF_ERROR(expr)                                \
  do {                                                          \
    if (::absl::Status sy_status_ = (expr); !sy_status_.ok()) { \
      return sy_status_;                                        \
    }                                                           \
  } while (false)

// SY_ASSIGN_OR_RETURN(auto value, F()): declares or assigns `value` from an absl::StatusOr, or
// returns its status.
#define SY_ASSIGN_OR_RETURN(lhs, expr) \
  SY_ASSIGN_OR_RETURN_IMPL_(SY_CONCAT_(sy_status_or_, __LINE__), lhs, expr)
#define SY_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return std::move(tmp).status();  \
  lhs = std::move(tmp).value()
