// SPDX-License-Identifier: MIT
#include "format_table.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

struct TableEntry {
    std::uint32_t format;
    std::uint32_t padding;
    std::uint64_t modifier;
};
static_assert(sizeof(TableEntry) == 16);
constexpr std::uint32_t max_table_size = 65536 * sizeof(TableEntry); // indices have 16 bits

const char* const operation = "reading the compositor's linux-dmabuf format table";

} // namespace

Result<std::vector<FormatModifier>> read_format_table(UniqueFd fd, std::uint32_t size) {
    struct stat facts{};
    if (fstat(fd.get(), &facts) != 0) return error_from_errno(errno, operation);
    if (!S_ISREG(facts.st_mode)) return make_error(Code::corrupt, operation, "it is no regular file");
    if (size == 0 || size % sizeof(TableEntry) != 0 || size > max_table_size)
        return make_error(Code::corrupt, operation,
                          fmt::format("{} bytes are no sensible table of 16-byte entries", size));
    if (facts.st_size < static_cast<off_t>(size))
        return make_error(Code::corrupt, operation,
                          fmt::format("the file has {} bytes, {} were claimed", facts.st_size, size));
    std::vector<TableEntry> entries(size / sizeof(TableEntry));
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = pread(fd.get(), reinterpret_cast<char*>(entries.data()) + done, size - done,
                                static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_from_errno(errno, operation);
        if (n == 0) return make_error(Code::corrupt, operation, "the file shrank while it was read");
        done += static_cast<std::size_t>(n);
    }
    std::vector<FormatModifier> table;
    table.reserve(entries.size());
    for (const auto& entry : entries)
        table.push_back({entry.format, entry.modifier});
    return table;
}

} // namespace share::wayland_client
