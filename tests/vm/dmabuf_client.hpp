// SPDX-License-Identifier: MIT
// A client that speaks linux-dmabuf by hand, so that it can send what no library would.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct wl_buffer;

namespace testing {

class DmabufClient {
public:
    enum class Answer : std::uint8_t { created, failed, error };
    struct Outcome {
        Answer answer = Answer::error;
        std::string interface; ///< of a protocol error
        std::uint32_t code = 0;
    };

    /// Null when the compositor cannot be reached or has no linux-dmabuf.
    static std::unique_ptr<DmabufClient> connect(const std::string& socket);
    ~DmabufClient();

    /// A square XRGB8888 buffer, LINEAR, rows without padding, of this fd, which stays the caller's.
    Outcome create(int fd, std::uint32_t side);
    Outcome create_immed(int fd, std::uint32_t side);
    /// Shows the last created buffer fullscreen; false when the connection broke.
    bool show();
    /// The server still answers.
    bool alive();

private:
    struct Impl;
    explicit DmabufClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace testing
