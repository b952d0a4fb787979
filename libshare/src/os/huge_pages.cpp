// SPDX-License-Identifier: MIT
#include "os/huge_pages.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "os/file.hpp"
#include "os/map.hpp"

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // Linux 6.1
#endif

namespace share::os {
namespace {

std::uint64_t number_in(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    file >> number;
    return number;
}

/// The word in brackets: "always within_size advise [never] deny force".
std::string chosen_word(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string word;
    while (file >> word)
        if (word.size() > 2 && word.front() == '[' && word.back() == ']')
            return word.substr(1, word.size() - 2);
    return {};
}

template<class T>
bool parse(std::string_view text, T& value, int base) {
    const auto* end = text.data() + text.size();
    return std::from_chars(text.data(), end, value, base).ptr == end && !text.empty();
}

/// "7f00-7f10 rw-s ..." is the first line of a mapping's paragraph; others are "Rss:   8 kB".
bool range_of(const std::string& line, std::uintptr_t& begin, std::uintptr_t& end) {
    const auto dash = line.find('-');
    const auto space = line.find(' ');
    if (dash == std::string::npos || space == std::string::npos || dash > space) return false;
    const std::string_view text = line;
    return parse(text.substr(0, dash), begin, 16) && parse(text.substr(dash + 1, space - dash - 1), end, 16);
}

void add_line(SmapsSums& sums, std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto key = line.substr(0, colon);
    const auto begin = line.find_first_not_of(' ', colon + 1);
    const auto unit = line.find(" kB");
    std::uint64_t kib = 0;
    if (begin == std::string_view::npos || unit == std::string_view::npos || unit < begin) return;
    if (!parse(line.substr(begin, unit - begin), kib, 10)) return;
    const std::uint64_t bytes = kib * 1024;
    const bool hugetlb = key == "Shared_Hugetlb" || key == "Private_Hugetlb"; // not in Rss
    if (key == "Rss" || hugetlb) sums.resident += bytes;
    if (key == "ShmemPmdMapped" || key == "FilePmdMapped" || key == "AnonHugePages" || hugetlb)
        sums.huge += bytes;
    if (key == "KernelPageSize" && (sums.page_size == 0 || bytes < sums.page_size)) sums.page_size = bytes;
}

} // namespace

std::vector<HugePool> huge_pools() {
    std::vector<HugePool> pools;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
        const auto name = entry.path().filename().string(); // hugepages-2048kB
        constexpr std::string_view head = "hugepages-", tail = "kB";
        if (!name.starts_with(head) || !name.ends_with(tail)) continue;
        std::uint64_t kib = 0;
        if (!parse(std::string_view(name).substr(head.size(), name.size() - head.size() - tail.size()), kib,
                   10) ||
            !std::has_single_bit(kib))
            continue;
        pools.push_back(
            {kib * 1024, number_in(entry.path() / "nr_hugepages"), number_in(entry.path() / "free_hugepages"),
             number_in(entry.path() / "resv_hugepages"), (entry.path() / "nr_hugepages").string()});
    }
    std::sort(pools.begin(), pools.end(),
              [](const HugePool& a, const HugePool& b) { return a.page_size < b.page_size; });
    return pools;
}

Result<UniqueFd> create_huge_memfd(const std::string& name, std::uint64_t size, std::size_t page_size,
                                   unsigned seals) {
    constexpr unsigned shift = 26; // MFD_HUGE_SHIFT: where the size's logarithm goes
    const auto log2 = static_cast<unsigned>(std::countr_zero(page_size));
    return create_memfd(name, size, seals, MFD_HUGETLB | (log2 << shift));
}

Result<void> reserve_pages(int fd, std::uint64_t size) {
    // Mapping reserves, and what a shared mapping reserved belongs to the file: it stays when that goes.
    void* address = ::mmap(nullptr, size, PROT_NONE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) // NOLINT(performance-no-int-to-ptr)
        return error_from_errno(errno, fmt::format("reserving {} bytes of huge pages", size), "mmap");
    ::munmap(address, size);
    return {};
}

std::size_t transparent_page_size() {
    return number_in("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
}

std::string shmem_huge_mode() {
    const auto mode = chosen_word(shmem_setting);
    // Since Linux 6.11 each size has a setting of its own, which may follow the one for all.
    const auto own = chosen_word(fmt::format(
        "/sys/kernel/mm/transparent_hugepage/hugepages-{}kB/shmem_enabled", transparent_page_size() / 1024));
    return own.empty() || own == "inherit" || mode == "deny" || mode == "force" ? mode : own;
}

Result<std::span<std::byte>> map_aligned(int fd, std::uint64_t size, Access access, std::size_t alignment) {
    const auto operation = [&] { return fmt::format("mapping {} bytes of fd {}", size, fd); };
    // Address space is taken first, then the file is put into its aligned part and the rest given back.
    const std::uint64_t room = size + alignment;
    if (room < size) return make_error(Code::invalid_argument, operation(), "the size overflows");
    void* taken = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (taken == MAP_FAILED) // NOLINT(performance-no-int-to-ptr)
        return error_from_errno(errno, operation(), "address space is exhausted (ulimit -v)");
    auto* begin = static_cast<std::byte*>(taken);
    const auto skip = (alignment - reinterpret_cast<std::uintptr_t>(begin) % alignment) % alignment;
    const int protection = (reads(access) ? PROT_READ : 0) | (writes(access) ? PROT_WRITE : 0);
    if (::mmap(begin + skip, size, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) { // NOLINT
        auto error = error_from_errno(errno, operation(), "mmap");
        ::munmap(begin, room);
        return error;
    }
    const auto page = page_size();
    const auto end = skip + (size + page - 1) / page * page;
    if (skip > 0) ::munmap(begin, skip);
    if (end < room) ::munmap(begin + end, room - end);
    return std::span(begin + skip, size);
}

bool advise_huge(std::span<std::byte> bytes) noexcept {
    const int saved = errno;
    const bool taken = ::madvise(bytes.data(), bytes.size(), MADV_HUGEPAGE) == 0;
    errno = saved;
    return taken;
}

void collapse_huge(std::span<std::byte> bytes) noexcept {
    const int saved = errno;
    if (::madvise(bytes.data(), bytes.size(), MADV_POPULATE_WRITE) == 0)
        ::madvise(bytes.data(), bytes.size(), MADV_COLLAPSE);
    errno = saved;
}

Result<SmapsSums> smaps_of(std::span<const std::byte> bytes) {
    std::ifstream file("/proc/self/smaps");
    if (!file)
        return make_error(
            Code::unsupported, "reading /proc/self/smaps",
            "it is not there: /proc is not mounted, or the kernel lacks CONFIG_PROC_PAGE_MONITOR");
    const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
    const auto last = first + bytes.size();
    SmapsSums sums;
    bool inside = false;
    std::string line;
    while (std::getline(file, line)) {
        std::uintptr_t begin = 0, end = 0;
        if (range_of(line, begin, end)) {
            if (begin >= last && inside) break;
            inside = begin < last && end > first;
        } else if (inside) {
            add_line(sums, line);
        }
    }
    return sums;
}

} // namespace share::os
