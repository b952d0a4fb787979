// SPDX-License-Identifier: MIT
#include "file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include <share/unique_fd.hpp>

namespace share::media {

namespace {

std::string_view kind_of(mode_t mode) noexcept {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
    return "not a regular file";
}

Result<void> check(const struct stat& status, const std::string& operation, std::uint64_t max_bytes) {
    if (!S_ISREG(status.st_mode))
        return make_error(Code::invalid_argument, operation,
                          fmt::format("it is {}; only regular files are read", kind_of(status.st_mode)));
    if (status.st_size <= 0) return make_error(Code::invalid_argument, operation, "the file is empty");
    if (static_cast<std::uint64_t>(status.st_size) > max_bytes)
        return make_error(Code::limit, operation,
                          fmt::format("it has {} bytes and the limit is {}", status.st_size, max_bytes));
    return {};
}

} // namespace

Result<std::vector<std::byte>> read_regular_file(const std::string& path, std::uint64_t max_bytes) {
    const std::string operation = fmt::format("opening picture '{}'", path);
    struct stat status{};
    // Before open(): opening some devices already does something to them.
    if (::stat(path.c_str(), &status) != 0) return error_from_errno(errno, operation);
    if (auto fine = check(status, operation, max_bytes); !fine) return fine.error();
    // O_NONBLOCK: should a FIFO have taken its place since, this must not wait for a writer.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return error_from_errno(errno, operation);
    if (::fstat(fd.get(), &status) != 0) return error_from_errno(errno, operation);
    if (auto fine = check(status, operation, max_bytes); !fine) return fine.error();

    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t have = 0;
    while (have < bytes.size()) {
        const ssize_t n = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_from_errno(errno, fmt::format("reading picture '{}'", path));
        if (n == 0) break; // it shrank: the decoder will say that it is cut short
        have += static_cast<std::size_t>(n);
    }
    bytes.resize(have);
    return bytes;
}

} // namespace share::media
