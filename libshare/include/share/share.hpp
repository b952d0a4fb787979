// SPDX-License-Identifier: MIT
// All of libshare. See each header for its own word.
#pragma once

#include <share/arena.hpp>
#include <share/block_resource.hpp>
#include <share/accounting.hpp>
#include <share/buffer.hpp>
#include <share/buffer_arena.hpp>
#include <share/cache_probe.hpp>
#include <share/candidate.hpp>
#include <share/checked_tree.hpp>
#include <share/deadline.hpp>
#include <share/fence.hpp>
#include <share/format.hpp>
#include <share/guard.hpp>
#include <share/handle.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/joined.hpp>
#include <share/layout.hpp>
#include <share/ledger.hpp>
#include <share/measure.hpp>
#include <share/memory.hpp>
#include <share/negotiate.hpp>
#include <share/ownership.hpp>
#include <share/pages.hpp>
#include <share/pool.hpp>
#include <share/probe.hpp>
#include <share/probe_cache.hpp>
#include <share/range_allocator.hpp>
#include <share/requirements.hpp>
#include <share/result.hpp>
#include <share/sharing.hpp>
#include <share/sigbus_guard.hpp>
#include <share/swapchain.hpp>
#include <share/unique_fd.hpp>
