// SPDX-License-Identifier: MIT
// Ledger: for every frame, which bytes were copied, by whom and why. A silent copy is a bug.
//
// bytes_copied is exact for what we do, a known cost for what a peer does, and nullopt where a peer does
// something that we cannot see. Written as a table for people or as one JSON object per line; the JSON
// schema is docs/ledger.md, version 1. Thread: one Ledger belongs to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>

namespace share {

enum class Mechanism : std::uint8_t {
    decode,  ///< a codec or other source writes the pixels for the first time
    device,  ///< a camera, decoder or converter of the kernel writes the pixels
    memfd,   ///< memfd handed over as if it were a dma-buf
    udmabuf, ///< memfd turned into a real dma-buf
    dmabuf,  ///< some other real dma-buf
    wl_shm,
    mit_shm_fd,
    mit_shm_sysv,
    x_socket,
    eglimage,
    texture, ///< upload into a GL texture
    blit,
    draw,    ///< composition by sampling
    map,     ///< read through a CPU mapping
    scanout, ///< the buffer itself is the output's picture
};
/// The word used in texts and JSON: "mit-shm-fd".
SHARE_API std::string_view to_string(Mechanism mechanism) noexcept;

enum class By : std::uint8_t { us, server, compositor };
SHARE_API std::string_view to_string(By by) noexcept;

struct Step {
    std::string stage; ///< "decode", "share", "import", "compose", "present"
    Mechanism mechanism = Mechanism::memfd;
    By by = By::us;
    std::optional<std::uint64_t> bytes_copied = 0;
    std::optional<std::uint64_t> bytes_converted = 0; ///< rewritten in another format or order
    std::string reason;
};

struct FrameRecord {
    std::uint64_t frame = 0; ///< counted from 1 per stream
    std::string stream;      ///< "photo.jpg", "wl_surface 12"
    std::vector<Step> steps;
};

class SHARE_API Ledger {
public:
    /// `keep`: how many last frames stay readable; totals count all. `program` is named in JSON.
    explicit Ledger(std::string program, std::size_t keep = 64);

    /// A decision about the path ("udmabuf: /dev/udmabuf: permission denied"): once, not per frame.
    void note(std::string about, std::string text);
    void add(FrameRecord record);

    struct Totals {
        std::uint64_t frames = 0;
        std::uint64_t copied_by_us = 0, copied_by_server = 0, copied_by_compositor = 0;
        std::uint64_t converted = 0;
        std::uint64_t unknown_steps = 0; ///< steps whose copy a peer hides
        std::map<std::string, std::uint64_t> frames_by_mechanism;
    };
    const Totals& totals() const noexcept { return totals_; }
    const std::deque<FrameRecord>& frames() const noexcept { return frames_; }
    struct Note {
        std::string about, text;
    };
    const std::vector<Note>& notes() const noexcept { return notes_; }

    /// Notes, the last frame's steps and totals as a table.
    std::string table() const;
    /// One frame or the summary (notes and totals) as one line of JSON, without newline.
    std::string json(const FrameRecord& record) const;
    std::string json_summary() const;

private:
    std::string program_;
    std::size_t keep_;
    std::deque<FrameRecord> frames_;
    std::vector<Note> notes_;
    Totals totals_;
};

} // namespace share
