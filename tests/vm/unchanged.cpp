// SPDX-License-Identifier: MIT
#include "unchanged.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "process.hpp"

namespace testing {

std::vector<DmabufInfo> all_dmabufs() {
    std::ifstream file("/sys/kernel/debug/dma_buf/bufinfo");
    if (!file) FAIL("no /sys/kernel/debug/dma_buf/bufinfo: not in the test VM?");
    std::vector<DmabufInfo> found;
    std::string line;
    // size, flags, mode, count, exporter, inode, name; the numbers but the inode are hexadecimal or
    // zero-padded.
    while (std::getline(file, line)) {
        std::istringstream fields(line);
        std::string size, flags, mode, count, inode;
        DmabufInfo info;
        if (!(fields >> size >> flags >> mode >> count >> info.exporter >> inode)) continue;
        if (size.size() != 8 || size.find_first_not_of("0123456789") != std::string::npos) continue;
        info.size = std::stoull(size, nullptr, 10);
        info.inode = std::stoull(inode, nullptr, 10);
        fields >> info.name;
        found.push_back(info);
    }
    return found;
}

std::uint64_t shmem_kib() {
    std::ifstream file("/proc/meminfo");
    std::string key;
    std::uint64_t value = 0;
    while (file >> key) {
        if (key == "Shmem:" && file >> value) return value;
        file.ignore(1000, '\n');
    }
    FAIL("/proc/meminfo has no Shmem");
    return 0;
}

std::string fdinfo(int fd, const std::string& key) {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd));
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with(key + ":")) continue;
        const auto at = line.find_first_not_of(" \t", key.size() + 1);
        return at == std::string::npos ? "" : line.substr(at);
    }
    return {};
}

Unchanged::Unchanged() : fds_(count_fds()), dmabufs_(all_dmabufs().size()), shmem_(shmem_kib()) {
    // The VM's root is memory: what Mesa keeps in a child's home would count as pages left behind.
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
}

Unchanged::~Unchanged() {
    CHECK(count_fds() == fds_);
    // A child's fds and mappings go some moments after it was reaped.
    CHECK(eventually([&] { return all_dmabufs().size() == dmabufs_; }));
    CHECK(eventually([&] { return shmem_kib() <= shmem_; }));
}

} // namespace testing
