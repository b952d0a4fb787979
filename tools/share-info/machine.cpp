// SPDX-License-Identifier: MIT
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>

#include <fmt/format.h>

#include "files.hpp"
#include "sections.hpp"

namespace info {

namespace {

std::string os_name() {
    std::istringstream release(read_text("/etc/os-release").value_or(""));
    for (std::string line; std::getline(release, line);) {
        constexpr std::string_view key = "PRETTY_NAME=";
        if (!line.starts_with(key)) continue;
        line.erase(0, key.size());
        std::erase(line, '"');
        return line;
    }
    return {};
}

} // namespace

Json collect_machine() {
    Json part = available();
    utsname name{};
    uname(&name);
    part["os"] = os_name();
    part["kernel"] = name.sysname;
    part["kernel_release"] = name.release;
    part["architecture"] = name.machine;
    part["cpus"] = sysconf(_SC_NPROCESSORS_ONLN);
    struct sysinfo memory{};
    sysinfo(&memory);
    part["memory_bytes"] = std::uint64_t{memory.totalram} * memory.mem_unit;
    part["page_size"] = sysconf(_SC_PAGESIZE);
    return part;
}

void print_machine(const Json& part, Page& page) {
    const auto os = part.at("os").get<std::string>();
    page.line("system", os.empty() ? "unknown" : os);
    page.line("kernel", fmt::format("{} {}, {}", plain(part.at("kernel")), plain(part.at("kernel_release")),
                                    plain(part.at("architecture"))));
    page.line("CPUs", plain(part.at("cpus")));
    page.line("memory", bytes_text(part.at("memory_bytes")));
    page.line("page size", bytes_text(part.at("page_size")));
}

} // namespace info
