// SPDX-License-Identifier: MIT
#include "proc.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include <share/unique_fd.hpp>

namespace info {

namespace {

using share::Code;
using share::Result;
using share::UniqueFd;

constexpr long tmpfs_magic = 0x01021994, hugetlbfs_magic = 0x958458f6, dmabuf_magic = 0x444d4142;

template<class Number>
std::optional<Number> number_of(std::string_view text, int base = 10) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                     : std::nullopt;
}

/// A file below a folder of /proc, to its end; nothing when it cannot be read, with errno.
std::optional<std::string> read_at(int folder, const std::string& path) {
    const UniqueFd fd(openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    std::string text;
    std::array<char, 16384> piece;
    for (;;) {
        const auto got = read(fd.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
}

std::string link_at(int folder, const std::string& path) {
    std::string text(4096, '\0');
    const auto length = readlinkat(folder, path.c_str(), text.data(), text.size());
    text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return text;
}

/// The inode in "ipc:[INODE]"; 0 where it cannot be read.
std::uint64_t ipc_of(int folder, const std::string& path) {
    const auto link = link_at(folder, path);
    constexpr std::string_view before = "ipc:[";
    if (!link.starts_with(before) || !link.ends_with(']')) return 0;
    return number_of<std::uint64_t>(
               std::string_view(link).substr(before.size(), link.size() - before.size() - 1))
        .value_or(0);
}

std::vector<std::string> names_in(int folder, const char* path) {
    UniqueFd fd(openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return {};
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(fd.get()), closedir);
    if (!entries) return {};
    static_cast<void>(fd.release()); // closedir() closes it
    std::vector<std::string> names;
    errno = 0;
    while (const auto* entry = readdir(entries.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    return names;
}

share::Error cannot_read(pid_t pid, int why) {
    auto operation = fmt::format("reading what process {} holds", pid);
    if (why == EACCES || why == EPERM)
        return {Code::denied, why, std::move(operation), "run share-info as its user, or as root"};
    if (why == ENOENT || why == ESRCH)
        return {Code::unavailable, 0, std::move(operation), "there is no such process, or it has ended"};
    return share::error_from_errno(why, std::move(operation), "it is there, but could not be read");
}

/// "/memfd:NAME (deleted)" and "/dmabuf:NAME" without what the kernel puts around the name.
std::string name_in(std::string_view link) {
    constexpr std::string_view deleted = " (deleted)";
    if (link.ends_with(deleted)) link.remove_suffix(deleted.size());
    if (const auto at = link.find(':');
        at != link.npos && (link.starts_with("/memfd:") || link.starts_with("/dmabuf:")))
        link.remove_prefix(at + 1);
    return clean(link);
}

/// The value of a key; the first one, because what follows may be part of a name that its owner chose.
std::string_view value_of(std::string_view fdinfo, std::string_view key) {
    for (std::size_t at = 0; at < fdinfo.size();) {
        const auto end = std::min(fdinfo.find('\n', at), fdinfo.size());
        auto line = fdinfo.substr(at, end - at);
        if (line.starts_with(key) && line.substr(key.size()).starts_with(":\t"))
            return line.substr(key.size() + 2);
        at = end + 1;
    }
    return {};
}

class Reader {
public:
    Reader(pid_t pid, UniqueFd folder) : folder_(std::move(folder)) { view_.pid = pid; }
    Result<ProcessView> read();

private:
    Result<void> read_fds();
    Result<void> read_maps();
    void read_mapping(std::string_view line);
    void read_segments();
    bool identify(const std::string& path, Held& held) const;
    void add(Held held);

    UniqueFd folder_;       ///< /proc/PID: stays that very process
    std::uint64_t ipc_ = 0; ///< its namespace of System V segments, by inode
    ProcessView view_;
};

/// Looks at the object behind a magic link, without opening it.
bool Reader::identify(const std::string& path, Held& held) const {
    const UniqueFd object(openat(folder_.get(), path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status{};
    struct statfs fs{};
    if (!object || fstat(object.get(), &status) != 0 || fstatfs(object.get(), &fs) != 0) return false;
    if (fs.f_type == dmabuf_magic)
        held.kind = HeldKind::dmabuf;
    else if (fs.f_type == hugetlbfs_magic)
        held.kind = HeldKind::hugetlbfs;
    else if (fs.f_type != tmpfs_magic || !S_ISREG(status.st_mode))
        return false;
    held.device = status.st_dev;
    held.inode = status.st_ino;
    held.size = static_cast<std::uint64_t>(status.st_size);
    held.resident = static_cast<std::uint64_t>(status.st_blocks) * 512;
    return true;
}

void Reader::add(Held held) {
    const auto known =
        std::ranges::find_if(view_.held, [&](const Held& other) { return other.same_object(held); });
    if (known == view_.held.end()) {
        view_.held.push_back(std::move(held));
        return;
    }
    known->fds.insert(known->fds.end(), held.fds.begin(), held.fds.end());
    known->mapped += held.mapped;
    known->size = std::max(known->size, held.size);
    if (!known->resident) known->resident = held.resident;
}

Result<void> Reader::read_fds() {
    const UniqueFd list(openat(folder_.get(), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!list) return cannot_read(view_.pid, errno);
    for (const auto& number : names_in(folder_.get(), "fd")) {
        const auto path = "fd/" + number;
        const auto link = link_at(folder_.get(), path);
        if (!link.starts_with("/memfd:") && !link.starts_with("/dmabuf:")) continue;
        Held held;
        if (!identify(path, held)) continue; // closed meanwhile, or a file that is only called so
        held.name = name_in(link);
        if (held.kind == HeldKind::dmabuf) {
            const auto fdinfo = read_at(folder_.get(), "fdinfo/" + number).value_or("");
            held.exporter = clean(value_of(fdinfo, "exp_name"));
        }
        held.fds.push_back(number_of<int>(number).value_or(-1));
        add(std::move(held));
    }
    return {};
}

/// "START-END PERMS OFFSET MAJOR:MINOR INODE      PATH", shared ones of memory only.
void Reader::read_mapping(std::string_view line) {
    std::istringstream fields{std::string(line)};
    std::string range, perms, offset, device;
    std::uint64_t inode = 0;
    if (!(fields >> range >> perms >> offset >> device >> inode) || perms.size() != 4 || perms[3] != 's')
        return;
    std::string path;
    std::getline(fields >> std::ws, path);
    const auto dash = range.find('-'), colon = device.find(':');
    if (dash == range.npos || colon == device.npos) return;
    const auto begin = number_of<std::uint64_t>(range.substr(0, dash), 16);
    const auto end = number_of<std::uint64_t>(range.substr(dash + 1), 16);
    if (!begin || !end || *end < *begin) return;
    Held held;
    if (path.starts_with("/dmabuf:"))
        held.kind = HeldKind::dmabuf;
    else if (path.starts_with("/SYSV"))
        held.kind = HeldKind::sysv;
    else if (!path.starts_with("/memfd:") && !path.starts_with("/dev/shm/") &&
             !path.starts_with("/dev/hugepages/"))
        return;
    held.device = makedev(number_of<unsigned>(device.substr(0, colon), 16).value_or(0),
                          number_of<unsigned>(device.substr(colon + 1), 16).value_or(0));
    held.inode = inode;
    held.mapped = *end - *begin;
    held.name = name_in(path);
    if (held.kind == HeldKind::sysv) {
        held.device = ipc_; // their ids are counted in each namespace anew
        add(std::move(held));
        return;
    }
    // Only who may trace anybody may look at the object itself; else the mapping's end is the least size.
    const auto mapped = held.mapped;
    const bool seen = identify("map_files/" + range, held);
    if (!seen) held.size = number_of<std::uint64_t>(offset, 16).value_or(0) + mapped;
    if (path.starts_with("/dev/shm/") && held.kind == HeldKind::memfd) held.kind = HeldKind::tmpfs;
    if (!seen) { // of one whose fd is open the kind is known
        const auto same = std::ranges::find_if(view_.held, [&](const Held& other) {
            return other.device == held.device && other.inode == held.inode && other.kind != HeldKind::sysv;
        });
        if (same != view_.held.end()) {
            same->mapped += mapped;
            return;
        }
    }
    add(std::move(held));
}

Result<void> Reader::read_maps() {
    const auto maps = read_at(folder_.get(), "maps");
    if (!maps) return cannot_read(view_.pid, errno);
    std::istringstream lines(*maps);
    for (std::string line; std::getline(lines, line);)
        read_mapping(line);
    return {};
}

/// Sizes of System V segments: their mappings tell only what is attached.
void Reader::read_segments() {
    if (std::ranges::none_of(view_.held, [](const Held& h) { return h.kind == HeldKind::sysv; })) return;
    if (ipc_ != ipc_of(AT_FDCWD, "/proc/self/ns/ipc")) return; // the list is that of our own namespace
    std::istringstream lines(read_at(AT_FDCWD, "/proc/sysvipc/shm").value_or(""));
    std::string line;
    std::getline(lines, line); // the columns' names
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string skip;
        std::uint64_t id = 0, size = 0, resident = 0, swapped = 0;
        if (!(fields >> skip >> id >> skip >> size)) continue;
        for (int i = 0; i < 10; ++i) // cpid to ctime
            fields >> skip;
        const bool told = static_cast<bool>(fields >> resident >> swapped);
        for (auto& held : view_.held) {
            if (held.kind != HeldKind::sysv || held.inode != id) continue;
            held.size = size;
            if (told) held.resident = resident + swapped;
        }
    }
}

Result<ProcessView> Reader::read() {
    auto comm = read_at(folder_.get(), "comm");
    if (!comm) return cannot_read(view_.pid, errno);
    if (comm->ends_with('\n')) comm->pop_back();
    view_.name = clean(*comm);
    struct stat status{};
    if (fstat(folder_.get(), &status) == 0) view_.uid = status.st_uid;
    ipc_ = ipc_of(folder_.get(), "ns/ipc");
    if (auto fds = read_fds(); !fds) return std::move(fds).error();
    if (auto maps = read_maps(); !maps) return std::move(maps).error();
    read_segments();
    for (auto& held : view_.held)
        std::ranges::sort(held.fds);
    return std::move(view_);
}

} // namespace

std::optional<ViewOf> view_of(const Held& held) noexcept {
    constexpr std::pair<std::string_view, HeldKind> prefixes[] = {{"memfd:", HeldKind::memfd},
                                                                  {"hugetlb:", HeldKind::hugetlbfs}};
    const std::string_view name = held.name;
    const auto* const prefix =
        std::ranges::find_if(prefixes, [&](const auto& known) { return name.starts_with(known.first); });
    // Only a udmabuf can be a view of a file, whatever others call themselves.
    if (held.kind != HeldKind::dmabuf || prefix == std::end(prefixes)) return std::nullopt;
    if (!held.exporter.empty() && held.exporter != "udmabuf") return std::nullopt;
    const auto plus = name.find("+0x");
    if (plus == name.npos) return std::nullopt;
    const auto inode =
        number_of<std::uint64_t>(name.substr(prefix->first.size(), plus - prefix->first.size()));
    const auto offset = number_of<std::uint64_t>(name.substr(plus + 3), 16);
    if (!inode || *inode == 0 || !offset) return std::nullopt; // no file has inode 0
    return ViewOf{prefix->second, *inode, *offset};
}

Result<ProcessView> read_process(pid_t pid) {
    UniqueFd folder(open(fmt::format("/proc/{}", pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return cannot_read(pid, errno);
    return Reader(pid, std::move(folder)).read();
}

std::vector<pid_t> all_processes() {
    constexpr std::uint64_t kernel_thread = 0x00200000; // PF_KTHREAD
    std::vector<pid_t> pids;
    for (const auto& name : names_in(AT_FDCWD, "/proc")) {
        const auto pid = number_of<pid_t>(name);
        if (!pid) continue;
        const auto stat = read_at(AT_FDCWD, "/proc/" + name + "/stat").value_or("");
        const auto after_name = stat.rfind(')');
        if (after_name == stat.npos) continue;
        std::istringstream fields(stat.substr(after_name + 1));
        std::string skip;
        std::uint64_t flags = 0;
        for (int i = 0; i < 6; ++i) // state to tpgid
            fields >> skip;
        if (fields >> flags && (flags & kernel_thread) == 0) pids.push_back(*pid);
    }
    return pids;
}

} // namespace info
