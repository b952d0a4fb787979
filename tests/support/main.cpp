// SPDX-License-Identifier: MIT
// main() of every test program: Catch2's, plus a JUnit file of the results where SHARE_TEST_RESULTS names a
// folder (./dev test counts them), and exit status 77 ("skipped" to meson) when all tests were skipped.
#include <catch2/catch_session.hpp>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

/// The program's name and arguments, so that one program run with other arguments does not overwrite its own
/// results. scripts/count-results.py makes the same name.
std::string results_name(int argc, char** argv) {
    std::string name = std::filesystem::path(argv[0]).filename().string();
    for (int i = 1; i < argc; ++i)
        name += std::string("-") + argv[i];
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '_';
    return name + ".xml";
}

} // namespace

int main(int argc, char** argv) {
    Catch::Session session;
    if (const int rc = session.applyCommandLine(argc, argv); rc != 0) return rc;
    if (const char* dir = std::getenv("SHARE_TEST_RESULTS");
        dir && session.configData().reporterSpecifications.empty()) {
        std::filesystem::create_directories(dir);
        const auto file = std::filesystem::path(dir) / results_name(argc, argv);
        auto& reporters = session.configData().reporterSpecifications;
        reporters.push_back({"console", {}, {}, {}});
        reporters.push_back({"junit", file.string(), {}, {}});
    }
    const int rc = session.run();
    return rc == 4 ? 77 : rc; // 4: Catch2's "all tests skipped"
}
