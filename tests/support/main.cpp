// SPDX-License-Identifier: MIT
// main() of every test program: Catch2's, plus a JUnit file of the results where SHARE_TEST_RESULTS names a
// folder (./dev test counts them), and exit status 77 ("skipped" to meson) when all tests were skipped.
#include <catch2/catch_session.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

int main(int argc, char** argv) {
    Catch::Session session;
    if (const int rc = session.applyCommandLine(argc, argv); rc != 0) return rc;
    if (const char* dir = std::getenv("SHARE_TEST_RESULTS"); dir && session.configData().reporterSpecifications.empty()) {
        std::filesystem::create_directories(dir);
        const auto file = std::filesystem::path(dir) / (std::filesystem::path(argv[0]).filename().string() + ".xml");
        auto& reporters = session.configData().reporterSpecifications;
        reporters.push_back({"console", {}, {}, {}});
        reporters.push_back({"junit", file.string(), {}, {}});
    }
    const int rc = session.run();
    return rc == 4 ? 77 : rc; // 4: Catch2's "all tests skipped"
}
