// SPDX-License-Identifier: MIT
// What the objects of one linux-dmabuf global share. Owned by the global and by each of its objects.
// Thread: the display's.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "linux-dmabuf-v1-server.h"

#include "account.hpp"
#include "format_table.hpp"

#include <share/import.hpp>
#include <share/wayland_server/linux_dmabuf.hpp>

namespace share::wayland_server {

class DmabufFeedback;

/// A client's imports by inode: the same dma-buf again is the same Memory while anybody holds it.
struct DmabufAccount : Account {
    using Account::Account;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::weak_ptr<Memory>> imports;
};

struct LinuxDmabuf::State {
    State(DmabufPolicy& p, const DmabufLimits& l, std::shared_ptr<const FormatTable> t);
    DmabufPolicy* policy; ///< null once the global is gone
    DmabufLimits limits;
    std::uint32_t version;
    std::shared_ptr<const FormatTable> table;
    Accounts<DmabufAccount> accounts;
    std::vector<Weak<DmabufFeedback>> feedbacks;
};

using DmabufStatePtr = std::shared_ptr<LinuxDmabuf::State>;

/// zwp_linux_dmabuf_feedback_v1: inert once its surface is gone.
class DmabufFeedback : public Resource<DmabufFeedback, &zwp_linux_dmabuf_feedback_v1_interface,
                                       struct zwp_linux_dmabuf_feedback_v1_interface> {
public:
    static const Requests requests;
    /// `surface` null: the default feedback.
    DmabufFeedback(NewResource resource, DmabufStatePtr state, wl_resource* surface, Charge charge);
    void send();

private:
    void surface_gone() { inert_ = true; }
    void send_tranche(const DmabufPolicy::Tranche& tranche);
    DmabufStatePtr state_;
    wl_resource* surface_;
    Charge charge_;
    bool inert_ = false;
    DestroyWatch<&DmabufFeedback::surface_gone> watch_{*this};
};

} // namespace share::wayland_server
