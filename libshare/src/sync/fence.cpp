// SPDX-License-Identifier: MIT
#include <share/fence.hpp>

#include "os/file.hpp"
#include "os/sync_file.hpp"

namespace share {

Result<Fence> Fence::from_sync_file(UniqueFd fd) {
    if (auto status = os::sync_file_status(fd.get()); !status) return std::move(status).error();
    return Fence(std::move(fd));
}

Result<Fence> Fence::merge(const Fence& a, const Fence& b, const std::string& name) {
    if (!b.file_) return a;
    if (!a.file_) return b;
    auto merged = os::merge_sync_files(a.fd(), b.fd(), name);
    if (!merged) return std::move(merged).error();
    return Fence(std::move(*merged));
}

Result<bool> Fence::signalled() const {
    if (!file_) return true;
    auto status = os::sync_file_status(fd());
    if (!status) return std::move(status).error();
    return *status != 0;
}

Result<void> Fence::wait(Deadline deadline) const {
    if (!file_) return {};
    auto done = os::wait_sync_file(fd(), deadline);
    if (!done) return std::move(done).error();
    if (!*done)
        return make_error(
            Code::timed_out, "waiting for a fence",
            "the work was not done before the deadline; the buffer still belongs to its device");
    auto status = os::sync_file_status(fd());
    if (!status) return std::move(status).error();
    if (*status < 0)
        return Error{Code::io, -*status, "waiting for a fence",
                     "the work ended with an error: do not show what it should have written"};
    return {};
}

Result<UniqueFd> Fence::export_sync_file() const {
    if (!file_)
        return make_error(Code::invalid_argument, "exporting a fence as sync_file",
                          "it has no file: there is nothing to wait for");
    return os::duplicate(fd());
}

} // namespace share
