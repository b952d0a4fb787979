// SPDX-License-Identifier: MIT
// Error and Result<T>: how the toolkit says that the machine refused.
//
// Three kinds of error, three places: our own bug is an assert; the machine's refusal is a Result; a wrong
// client of a server is a protocol error. No exceptions cross a public function of libshare except
// std::bad_alloc. Every Error says what was attempted (operation), on what and why it failed and what the
// user can do (detail). C++20: <expected> is avoided because clang 14 to 18 cannot read libstdc++ 12's.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <share/api.hpp>

namespace share {

enum class Code : std::uint8_t {
    invalid_argument, ///< the caller's or a peer's numbers make no sense
    unsupported,      ///< understood, but this party, kernel or library cannot do it
    unavailable,      ///< a device, server or file is not there
    denied,           ///< permission
    busy,             ///< somebody else owns it now
    timed_out,        ///< the deadline passed
    limit,            ///< a quota or a limit of the system was reached
    out_of_memory,    ///< memory or address space is exhausted
    corrupt,          ///< data is damaged or not what it claims to be
    disconnected,     ///< the peer is gone
    io,               ///< any other refusal by the system; see os_errno
};

/// The code's name, as written in texts and JSON: "invalid_argument".
SHARE_API std::string_view to_string(Code code) noexcept;

struct SHARE_API Error {
    Code code = Code::io;
    int os_errno = 0;      ///< errno of the refusing call, 0 where there was none
    std::string operation; ///< what was attempted, on what: "mapping 8294400 bytes of memfd 'frames'"
    std::string detail;    ///< why it failed, and what the user can do

    /// One line for a person: "operation: detail (errno text)".
    std::string text() const;
};

/// An Error from errno-style failure; the Code is derived from the errno.
[[nodiscard]] SHARE_API Error error_from_errno(int os_errno, std::string operation, std::string detail = {});
[[nodiscard]] inline Error make_error(Code code, std::string operation, std::string detail) {
    return Error{code, 0, std::move(operation), std::move(detail)};
}

/// A value or an Error. Reading the wrong one is a bug and asserts.
template<class T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}     // NOLINT(implicit)
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {} // NOLINT(implicit)

    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    T& value() & {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        assert(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    Error& error() & {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }
    const Error& error() const& {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }
    Error&& error() && {
        assert(!ok());
        return std::move(*std::get_if<1>(&state_));
    }

private:
    std::variant<T, Error> state_;
};

template<>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;
    Result() noexcept = default;
    Result(Error error) : error_(std::move(error)) {} // NOLINT(implicit)

    bool ok() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return ok(); }
    Error& error() & {
        assert(!ok());
        return *error_;
    }
    const Error& error() const& {
        assert(!ok());
        return *error_;
    }
    Error&& error() && {
        assert(!ok());
        return std::move(*error_);
    }

private:
    std::optional<Error> error_;
};

} // namespace share
