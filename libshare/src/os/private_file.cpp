// SPDX-License-Identifier: MIT
#include "os/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include <share/unique_fd.hpp>

namespace share::os {
namespace {

std::string folder_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> check_owner(const struct stat& st, const std::string& operation) {
    if (st.st_uid != ::geteuid())
        return make_error(Code::denied, operation, fmt::format("it belongs to uid {}", st.st_uid));
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return make_error(Code::denied, operation, "others may write to it; try: chmod go-w");
    return {};
}

/// What is missing of a folder, from the top.
Result<void> make_folders(const std::string& folder) {
    for (std::size_t at = folder.find('/', 1);; at = folder.find('/', at + 1)) {
        const std::string part = folder.substr(0, at);
        if (::mkdir(part.c_str(), 0700) < 0 && errno != EEXIST)
            return error_from_errno(errno, fmt::format("making the folder {}", part), "mkdir");
        if (at == std::string::npos) return {};
    }
}

Result<void> write_all(int fd, std::string_view text, const std::string& operation) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return error_from_errno(n < 0 ? errno : EIO, operation, "write");
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> replace(const std::string& path, std::string_view text, const std::string& operation) {
    std::string temporary = path + ".XXXXXX";
    const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC)); // mode 0600
    if (!fd) return error_from_errno(errno, operation, "mkostemp");
    auto written = write_all(fd.get(), text, operation);
    if (written && ::rename(temporary.c_str(), path.c_str()) < 0)
        written = error_from_errno(errno, operation, "rename");
    if (!written) ::unlink(temporary.c_str());
    return written;
}

} // namespace

Result<std::string> read_private_file(const std::string& path, std::size_t max_size) {
    const auto operation = fmt::format("reading {}", path);
    // O_NONBLOCK: a FIFO in its place must not make us wait.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!fd && errno == ELOOP) return make_error(Code::denied, operation, "it is a symbolic link");
    if (!fd) return error_from_errno(errno, operation, "open");
    struct stat st{};
    if (::fstat(fd.get(), &st) < 0) return error_from_errno(errno, operation, "fstat");
    if (!S_ISREG(st.st_mode)) return make_error(Code::unsupported, operation, "it is no regular file");
    if (auto own = check_owner(st, operation); !own) return std::move(own).error();

    // Not by st_size: it may grow while it is read.
    std::string text;
    std::array<char, 65536> part;
    for (;;) {
        const ssize_t n = ::read(fd.get(), part.data(), part.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_from_errno(errno, operation, "read");
        if (n == 0) return text;
        if (text.size() + static_cast<std::size_t>(n) > max_size)
            return make_error(Code::limit, operation, fmt::format("it has more than {} bytes", max_size));
        text.append(part.data(), static_cast<std::size_t>(n));
    }
}

Result<void> write_private_file(const std::string& path, std::string_view text) {
    const auto operation = fmt::format("writing {}", path);
    const std::string folder = folder_of(path);
    if (auto made = make_folders(folder); !made) return made;
    struct stat st{};
    if (::stat(folder.c_str(), &st) < 0) return error_from_errno(errno, operation, "stat of its folder");
    if (auto own = check_owner(st, fmt::format("{}: its folder {}", operation, folder)); !own) return own;
    return replace(path, text, operation);
}

} // namespace share::os
