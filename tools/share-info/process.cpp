// SPDX-License-Identifier: MIT
#include "process.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "proc.hpp"

namespace info {

namespace {

std::vector<pid_t> asked;

std::string_view word(HeldKind kind) {
    using enum HeldKind;
    constexpr std::pair<HeldKind, std::string_view> words[] = {
        {memfd, "memfd"}, {tmpfs, "tmpfs"}, {hugetlbfs, "hugetlbfs"}, {dmabuf, "dma-buf"}, {sysv, "sysv"}};
    return std::ranges::find(words, kind, &std::pair<HeldKind, std::string_view>::first)->second;
}

/// All processes that could be read, and how many could not.
struct Machine {
    std::vector<ProcessView> processes;
    std::size_t unreadable = 0;
};

Machine read_machine() {
    Machine machine;
    const pid_t self = getpid(), parent = getppid(); // share-info itself
    for (const pid_t pid : all_processes()) {
        if (pid == self || (pid == parent && std::ranges::find(asked, pid) == asked.end())) continue;
        auto view = read_process(pid);
        if (view)
            machine.processes.push_back(*std::move(view));
        else if (view.error().code != share::Code::unavailable || view.error().os_errno != 0)
            ++machine.unreadable;
    }
    return machine;
}

/// The bytes that one process has under one name: an object, and the udmabufs that are views of it.
struct Group {
    const Held* object = nullptr; ///< null: this process has views only
    HeldKind kind = HeldKind::memfd;
    std::uint64_t file = 0; ///< of a kind that views may be of: its inode
    std::vector<const Held*> views;

    bool is_file(HeldKind of, std::uint64_t inode) const { return file != 0 && of == kind && inode == file; }
    bool has(const Held& held) const {
        if (object && object->same_object(held)) return true;
        if (const auto view = view_of(held)) return is_file(view->kind, view->inode);
        return is_file(held.kind, held.inode);
    }
};

bool may_have_views(HeldKind kind) {
    return kind == HeldKind::memfd || kind == HeldKind::hugetlbfs;
}

std::vector<Group> groups_of(const ProcessView& process) {
    std::vector<Group> groups;
    for (const auto& held : process.held)
        if (!view_of(held))
            groups.push_back({&held, held.kind, may_have_views(held.kind) ? held.inode : 0, {}});
    for (const auto& held : process.held) {
        const auto view = view_of(held);
        if (!view) continue;
        auto at =
            std::ranges::find_if(groups, [&](const Group& g) { return g.is_file(view->kind, view->inode); });
        if (at == groups.end()) at = groups.insert(groups.end(), {nullptr, view->kind, view->inode, {}});
        at->views.push_back(&held);
    }
    return groups;
}

/// The file's size as anybody who has the file itself tells it; all there can be where nobody does.
std::uint64_t size_of(const Machine& machine, const Group& group) {
    std::uint64_t size = 0;
    for (const auto& process : machine.processes)
        for (const auto& held : process.held)
            if (!view_of(held) && group.is_file(held.kind, held.inode)) size = std::max(size, held.size);
    return size > 0 ? size : UINT64_MAX;
}

/// Bytes of a file that udmabufs of any process cover, each byte once. A process names its own udmabufs as it
/// likes: what lies outside of the file is none of it.
std::uint64_t covered_of(const Machine& machine, const Group& group) {
    const auto size = size_of(machine, group);
    std::map<std::uint64_t, std::uint64_t> ranges; // begin, end
    for (const auto& process : machine.processes)
        for (const auto& held : process.held)
            if (const auto view = view_of(held);
                view && group.is_file(view->kind, view->inode) && view->offset < size) {
                auto& end = ranges[view->offset];
                end = std::max(end, view->offset + std::min(held.size, size - view->offset));
            }
    std::uint64_t bytes = 0, reached = 0;
    for (const auto& [begin, end] : ranges) {
        if (end > std::max(begin, reached)) bytes += end - std::max(begin, reached);
        reached = std::max(reached, end);
    }
    return bytes;
}

std::string heap_of(const Group& group) {
    if (!group.object) return "udmabuf";
    const Held& held = *group.object;
    if (held.kind == HeldKind::memfd) return group.views.empty() ? "memfd" : "udmabuf";
    if (held.kind != HeldKind::dmabuf) return std::string(word(held.kind));
    if (held.exporter == "udmabuf" || held.exporter.empty()) return held.exporter;
    if (access(("/dev/dma_heap/" + held.exporter).c_str(), F_OK) == 0) return "dma-heap:" + held.exporter;
    return "driver:" + held.exporter;
}

/// null where only a driver knows.
Json pinned_of(const Machine& machine, const Group& group, const std::string& heap) {
    const bool always = group.kind == HeldKind::hugetlbfs; // whoever views it
    if (group.file != 0 && !(always && group.object)) return covered_of(machine, group);
    const Held& held = *group.object;
    if (held.kind == HeldKind::dmabuf)
        return heap == "udmabuf" || heap.starts_with("dma-heap:") ? Json(held.size) : Json(nullptr);
    return always ? Json(held.resident.value_or(held.size)) : Json(0);
}

Json how(const Held& held) {
    Json words = Json::array();
    const bool dmabuf = held.kind == HeldKind::dmabuf;
    if (!held.fds.empty()) words.push_back(dmabuf ? "dma-buf" : "fd");
    if (held.mapped > 0) words.push_back(dmabuf ? "dma-buf mapping" : "mapping");
    return words;
}

Json attached_to(const Machine& machine, const Group& group, pid_t self) {
    Json others = Json::array();
    for (const auto& process : machine.processes) {
        if (process.pid == self) continue;
        Json by = Json::array();
        for (const auto& held : process.held)
            if (group.has(held))
                for (auto& way : how(held))
                    if (std::ranges::find(by, way) == by.end()) by.push_back(way);
        if (!by.empty())
            others.push_back({{"pid", process.pid}, {"name", process.name}, {"by", std::move(by)}});
    }
    return others;
}

Json number_or_null(const std::optional<std::uint64_t>& number) {
    return number ? Json(*number) : Json(nullptr);
}

Json describe_view(const Held& held) {
    return {{"inode", held.inode},
            {"offset", view_of(held)->offset},
            {"size", held.size},
            {"fds", held.fds},
            {"mapped", held.mapped}};
}

Json describe(const Machine& machine, const ProcessView& process, const Group& group) {
    const auto heap = heap_of(group);
    Json part;
    part["kind"] = word(group.kind);
    part["heap"] = heap.empty() ? Json(nullptr) : Json(heap);
    part["inode"] = group.object ? group.object->inode : group.file;
    part["name"] = group.object ? Json(group.object->name) : Json(nullptr);
    part["size"] = group.object && group.object->size > 0 ? Json(group.object->size) : Json(nullptr);
    part["resident"] = group.object ? number_or_null(group.object->resident) : Json(nullptr);
    part["pinned"] = pinned_of(machine, group, heap);
    part["fds"] = group.object ? Json(group.object->fds) : Json::array();
    part["mapped"] = group.object ? group.object->mapped : 0;
    part["dmabufs"] = Json::array();
    for (const Held* view : group.views)
        part["dmabufs"].push_back(describe_view(*view));
    part["attached"] = attached_to(machine, group, process.pid);
    return part;
}

/// Unknown numbers count as nothing.
std::uint64_t sum(const Json& buffers, const char* member) {
    std::uint64_t bytes = 0;
    for (const auto& buffer : buffers)
        if (buffer.at(member).is_number()) bytes += buffer.at(member).get<std::uint64_t>();
    return bytes;
}

Json describe(const Machine& machine, pid_t pid) {
    const auto at = std::ranges::find(machine.processes, pid, &ProcessView::pid);
    if (at == machine.processes.end()) {
        auto now = read_process(pid); // for the reason; it may have come meanwhile, and is told then
        Json part = missing(now ? share::make_error(share::Code::unavailable,
                                                    fmt::format("reading what process {} holds", pid),
                                                    "it changed while it was read; try again")
                                : std::move(now).error());
        part["pid"] = pid;
        return part;
    }
    Json part = available();
    part["pid"] = pid;
    part["name"] = at->name;
    part["uid"] = at->uid;
    part["buffers"] = Json::array();
    for (const auto& group : groups_of(*at))
        part["buffers"].push_back(describe(machine, *at, group));
    for (const auto* member : {"size", "resident", "pinned"})
        part["totals"][member] = sum(part["buffers"], member);
    return part;
}

Json collect() {
    const auto machine = read_machine();
    Json part = available();
    part["list"] = Json::array();
    for (const pid_t pid : asked)
        part["list"].push_back(describe(machine, pid));
    part["unreadable"] = machine.unreadable;
    return part;
}

std::string bytes_or_unknown(const Json& bytes) {
    return bytes.is_number() ? bytes_text(bytes.get<std::uint64_t>()) : "unknown";
}

std::string held_text(const Json& held) {
    std::string text;
    for (const auto& fd : held.at("fds"))
        text += fmt::format("{}fd {}", text.empty() ? "" : ", ", plain(fd));
    if (const auto mapped = held.at("mapped").get<std::uint64_t>(); mapped > 0)
        text += fmt::format("{}mapped {}", text.empty() ? "" : ", ", bytes_text(mapped));
    return text;
}

void print_buffer(const Json& buffer, Page& page) {
    const auto name = buffer.at("name").is_null() ? std::string() : plain(buffer.at("name")) + ": ";
    page.line(fmt::format("{} {}", plain(buffer.at("kind")), plain(buffer.at("inode"))),
              fmt::format("{}{}, {} resident, {} pinned; {}", name, bytes_or_unknown(buffer.at("size")),
                          bytes_or_unknown(buffer.at("resident")), bytes_or_unknown(buffer.at("pinned")),
                          buffer.at("heap").is_null() ? "heap unknown" : "heap " + plain(buffer.at("heap"))));
    if (const auto here = held_text(buffer); !here.empty()) page.detail("here", here);
    for (const auto& view : buffer.at("dmabufs")) {
        const auto offset = view.at("offset").get<std::uint64_t>();
        page.detail(fmt::format("dma-buf {}", plain(view.at("inode"))),
                    fmt::format("bytes {} to {}; {}", offset, offset + view.at("size").get<std::uint64_t>(),
                                held_text(view)));
    }
    for (const auto& other : buffer.at("attached")) {
        std::string by;
        for (const auto& way : other.at("by"))
            by += (by.empty() ? "" : ", ") + plain(way);
        page.detail("attached",
                    fmt::format("{} {} ({})", plain(other.at("pid")), plain(other.at("name")), by));
    }
}

void print(const Json& part, Page& page) {
    for (const auto& process : part.at("list")) {
        const auto label = fmt::format("process {}", plain(process.at("pid")));
        if (!is_available(process)) {
            page.no(label, process);
            continue;
        }
        const auto& totals = process.at("totals");
        const auto count = process.at("buffers").size();
        page.line(label, fmt::format("{}, uid {}: {} buffer{}, {}, {} resident, {} pinned",
                                     plain(process.at("name")), plain(process.at("uid")), count,
                                     count == 1 ? "" : "s", bytes_or_unknown(totals.at("size")),
                                     bytes_or_unknown(totals.at("resident")),
                                     bytes_or_unknown(totals.at("pinned"))));
        for (const auto& buffer : process.at("buffers"))
            print_buffer(buffer, page);
    }
    if (const auto count = part.at("unreadable").get<std::size_t>(); count > 0)
        page.line("not read", fmt::format("{} other processes could not be read: what they share is "
                                          "not told; run share-info as root",
                                          count));
}

} // namespace

const Section& process_section(std::vector<pid_t> pids) {
    using namespace std::chrono_literals;
    asked = std::move(pids);
    static constexpr Section section{"processes", 20s, collect, print};
    return section;
}

} // namespace info
