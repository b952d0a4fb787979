// SPDX-License-Identifier: MIT
#include "limits.hpp"

#include <sys/resource.h>

#include <sstream>

#include <fmt/format.h>

#include "files.hpp"
#include "sections.hpp"

namespace info {

namespace {

Json number_or_null(const std::string& path) {
    const auto number = read_number(path);
    return number ? Json(*number) : Json(nullptr);
}

Json limit_pair(__rlimit_resource resource) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0) return missing("the kernel does not tell it");
    const auto value = [](rlim_t n) { return n == RLIM_INFINITY ? Json(nullptr) : Json(n); };
    Json part = available();
    part["soft"] = value(limit.rlim_cur);
    part["hard"] = value(limit.rlim_max);
    return part;
}

/// "always within_size advise [never]": the word in brackets.
Json shmem_huge_pages() {
    const std::string path = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    const auto text = read_text(path).value_or("");
    const auto open = text.find('['), close = text.find(']');
    if (open == text.npos || close == text.npos || close < open)
        return missing("this kernel has no transparent huge pages for shared memory (no " + path + ")");
    Json part = available();
    part["mode"] = text.substr(open + 1, close - open - 1);
    return part;
}

struct Cgroup {
    int version = 0;
    std::string path; ///< of its folder
};

/// The memory controller's folder for this process; in a container the path that the kernel tells may not be
/// there, and the top of the tree is then the container's own.
std::vector<Cgroup> memory_cgroups() {
    std::vector<Cgroup> found;
    std::istringstream lines(read_text("/proc/self/cgroup").value_or(""));
    for (std::string line; std::getline(lines, line);) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == line.npos) continue;
        const auto controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const auto path = line.substr(second + 1);
        if (controllers.find(",memory,") != controllers.npos)
            found.push_back({1, "/sys/fs/cgroup/memory" + path});
        else if (controllers == ",,")
            found.push_back({2, "/sys/fs/cgroup" + (path == "/" ? "" : path)});
    }
    return found;
}

/// The lowest limit on the way from `path` up; version 1 writes "none" as a number near 2^63.
std::optional<std::uint64_t> lowest_limit(const Cgroup& group) {
    constexpr std::uint64_t none = 1ULL << 62;
    const std::string top = group.version == 1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    const char* const file = group.version == 1 ? "/memory.limit_in_bytes" : "/memory.max";
    std::optional<std::uint64_t> lowest;
    for (std::string at = group.path; at.size() >= top.size(); at.erase(at.rfind('/'))) {
        const auto limit = read_number(at + file);
        if (limit && *limit < none) lowest = std::min(*limit, lowest.value_or(*limit));
    }
    return lowest;
}

bool has_memory_controller(const Cgroup& group) {
    return group.version == 1 ? read_text("/sys/fs/cgroup/memory/memory.limit_in_bytes").has_value()
                              : read_text("/sys/fs/cgroup/cgroup.controllers").value_or("").find("memory") !=
                                    std::string::npos;
}

Json cgroup_memory() {
    for (const auto& group : memory_cgroups()) {
        if (!has_memory_controller(group)) continue;
        const auto limit = lowest_limit(group);
        const auto used =
            read_number(group.path + (group.version == 1 ? "/memory.usage_in_bytes" : "/memory.current"));
        Json part = available();
        part["version"] = group.version;
        part["limit"] = limit ? Json(*limit) : Json(nullptr);
        part["used"] = used ? Json(*used) : Json(nullptr);
        return part;
    }
    return missing("no memory controller counts this process: only the machine's memory limits it");
}

std::string pair_text(const Json& pair, bool bytes) {
    if (!is_available(pair)) return "no: " + reason_of(pair);
    const auto text = [bytes](const Json& n) { return n.is_null() || bytes ? limit_text(n) : n.dump(); };
    return fmt::format("{}, can be raised to {}", text(pair.at("soft")), text(pair.at("hard")));
}

} // namespace

Json udmabuf_limits() {
    const std::string folder = "/sys/module/udmabuf/parameters";
    const auto ranges = read_number(folder + "/list_limit"), size = read_number(folder + "/size_limit_mb");
    if (!ranges || !size)
        return missing("the kernel has no udmabuf driver loaded (no " + folder + "); try: modprobe udmabuf");
    Json part = available();
    part["list_limit"] = *ranges;
    part["size_limit_mb"] = *size;
    return part;
}

Json sysv_limit() {
    constexpr std::uint64_t none = 1ULL << 62; // the kernel's default is a number near 2^64
    const auto most = read_number("/proc/sys/kernel/shmmax");
    return most && *most < none ? Json(*most) : Json(nullptr);
}

Json collect_limits() {
    Json part = available();
    part["memlock"] = limit_pair(RLIMIT_MEMLOCK);
    part["nofile"] = limit_pair(RLIMIT_NOFILE);
    part["udmabuf"] = udmabuf_limits();
    part["sysv"] = {{"shmmax", sysv_limit()}, {"shmmni", number_or_null("/proc/sys/kernel/shmmni")}};
    part["shmem_huge_pages"] = shmem_huge_pages();
    part["hugetlb_pages"] = number_or_null("/proc/sys/vm/nr_hugepages");
    part["cgroup_memory"] = cgroup_memory();
    return part;
}

void print_limits(const Json& part, Page& page) {
    page.line("locked memory", pair_text(part.at("memlock"), true));
    page.line("open files", pair_text(part.at("nofile"), false));
    const auto& udmabuf = part.at("udmabuf");
    if (is_available(udmabuf))
        page.line("udmabuf",
                  fmt::format("{} MiB and {} ranges a buffer; raised in /sys/module/udmabuf/parameters",
                              udmabuf.at("size_limit_mb").dump(), udmabuf.at("list_limit").dump()));
    else
        page.no("udmabuf", udmabuf);
    const auto& sysv = part.at("sysv");
    page.line("SysV segments", fmt::format("{} a segment, {} segments", limit_text(sysv.at("shmmax")),
                                           sysv.at("shmmni").is_null() ? "?" : sysv.at("shmmni").dump()));
    const auto& huge = part.at("shmem_huge_pages");
    if (is_available(huge))
        page.line("shmem huge pages", plain(huge.at("mode")));
    else
        page.no("shmem huge pages", huge);
    const auto& pool = part.at("hugetlb_pages");
    page.line("hugetlb pool", pool.is_null() ? "no: this kernel has no hugetlbfs" : pool.dump() + " pages");
    const auto& cgroup = part.at("cgroup_memory");
    if (is_available(cgroup))
        page.line("cgroup memory",
                  fmt::format("{}{} (version {})", limit_text(cgroup.at("limit")),
                              cgroup.at("used").is_null() ? "" : ", used " + limit_text(cgroup.at("used")),
                              cgroup.at("version").dump()));
    else
        page.no("cgroup memory", cgroup);
}

} // namespace info
