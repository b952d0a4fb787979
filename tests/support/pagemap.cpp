// SPDX-License-Identifier: MIT
#include "pagemap.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <share/unique_fd.hpp>

namespace testing {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t present = 1ULL << 63;
constexpr std::uint64_t frame_mask = (1ULL << 55) - 1;

std::vector<std::uint64_t> read_entries(pid_t pid, std::uint64_t address, std::size_t pages) {
    const share::UniqueFd fd(
        open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::uint64_t> entries(pages);
    const auto bytes = static_cast<ssize_t>(pages * sizeof(std::uint64_t));
    if (!fd || pread(fd.get(), entries.data(), static_cast<std::size_t>(bytes),
                     static_cast<off_t>(address / page * sizeof(std::uint64_t))) != bytes)
        return {};
    return entries;
}

} // namespace

std::vector<MapEntry> maps_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/maps");
    std::vector<MapEntry> entries;
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line);
        MapEntry entry;
        std::string device;
        char dash = 0;
        in >> std::hex >> entry.begin >> dash >> entry.end >> entry.permissions >> entry.offset >> device >>
            std::dec >> entry.inode;
        std::getline(in >> std::ws, entry.path);
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::vector<MapEntry> maps_of_inode(pid_t pid, std::uint64_t inode, const std::string& word) {
    std::vector<MapEntry> found;
    for (auto& entry : maps_of(pid))
        if (entry.inode == inode && entry.path.find(word) != std::string::npos)
            found.push_back(std::move(entry));
    return found;
}

std::vector<std::uint64_t> page_frames(pid_t pid, const MapEntry& entry, std::uint64_t file_offset,
                                       std::size_t pages) {
    if (file_offset < entry.offset || file_offset + pages * page > entry.offset + (entry.end - entry.begin))
        return {};
    auto entries = read_entries(pid, entry.begin + (file_offset - entry.offset), pages);
    for (auto& e : entries)
        e = (e & present) != 0 ? e & frame_mask : 0;
    return entries;
}

bool page_frames_visible() {
    int on_stack = 0;
    const auto entries = read_entries(getpid(), reinterpret_cast<std::uintptr_t>(&on_stack), 1);
    return !entries.empty() && (entries[0] & frame_mask) != 0;
}

} // namespace testing
