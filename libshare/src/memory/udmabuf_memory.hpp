// SPDX-License-Identifier: MIT
// UdmabufMemory: a sealed memfd of which /dev/udmabuf makes dma-bufs by page-aligned range.
#pragma once

#include <utility>

#include "memory/file_memory.hpp"
#include "memory/heaps/heaps.hpp"

namespace share {

inline constexpr const char* udmabuf_path = "/dev/udmabuf";

class UdmabufMemory : public FileMemory {
public:
    /// `device` is open on udmabuf_path; null: no dma-bufs are made.
    UdmabufMemory(std::shared_ptr<const UniqueFd> device, SealedFile file, std::string heap, std::string name,
                  const Traits& traits)
        : FileMemory(std::move(file.fd), file.size, std::move(heap), std::move(name), traits),
          device_(std::move(device)) {}
    Result<UniqueFd> export_dmabuf(std::uint64_t offset, std::uint64_t length) override;

private:
    std::shared_ptr<const UniqueFd> device_;
};

} // namespace share
