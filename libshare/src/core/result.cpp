// SPDX-License-Identifier: MIT
#include <share/result.hpp>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace share {

std::string_view to_string(Code code) noexcept {
    switch (code) {
    case Code::invalid_argument:
        return "invalid_argument";
    case Code::unsupported:
        return "unsupported";
    case Code::unavailable:
        return "unavailable";
    case Code::denied:
        return "denied";
    case Code::busy:
        return "busy";
    case Code::timed_out:
        return "timed_out";
    case Code::limit:
        return "limit";
    case Code::out_of_memory:
        return "out_of_memory";
    case Code::corrupt:
        return "corrupt";
    case Code::disconnected:
        return "disconnected";
    case Code::io:
        return "io";
    }
    return "unknown";
}

namespace {

Code code_of(int os_errno) noexcept {
    switch (os_errno) {
    case EINVAL:
    case EBADF:
    case EFAULT:
        return Code::invalid_argument;
    case ENOTTY:
    case ENOSYS:
    case EOPNOTSUPP:
    case ENODEV:
        return Code::unsupported;
    case ENOENT:
    case ENXIO:
    case ECONNREFUSED:
        return Code::unavailable;
    case EACCES:
    case EPERM:
    case EROFS:
        return Code::denied;
    case EBUSY:
    case EAGAIN:
    case EDEADLK:
        return Code::busy;
    case ETIMEDOUT:
        return Code::timed_out;
    case EMFILE:
    case ENFILE:
    case EDQUOT:
    case E2BIG:
    case EFBIG:
    case ENOSPC:
        return Code::limit;
    case ENOMEM:
        return Code::out_of_memory;
    case EPIPE:
    case ECONNRESET:
        return Code::disconnected;
    default:
        return Code::io;
    }
}

} // namespace

std::string Error::text() const {
    std::string out = operation;
    if (!detail.empty()) out += fmt::format("{}{}", out.empty() ? "" : ": ", detail);
    // strerrordesc_np: thread-safe and not translated, so that logs compare.
    if (os_errno != 0) {
        const char* name = strerrordesc_np(os_errno);
        out += name ? fmt::format(" ({})", name) : fmt::format(" (errno {})", os_errno);
    }
    return out;
}

Error error_from_errno(int os_errno, std::string operation, std::string detail) {
    return Error{code_of(os_errno), os_errno, std::move(operation), std::move(detail)};
}

} // namespace share
