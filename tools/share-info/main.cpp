// SPDX-License-Identifier: MIT
// share-info: what this machine and its display servers offer for sharing pixels, and why not more.
#include <fcntl.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "isolate.hpp"
#include "options.hpp"
#include "process.hpp"

namespace {

/// Closed standard fds would be given to a pipe of ours, and then be printed into.
void fill_standard_fds() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
}

std::vector<const info::Section*> chosen(const info::Options& options) {
    std::vector<const info::Section*> sections;
    if (!options.processes.empty()) sections.push_back(&info::process_section(options.processes));
    if (!options.processes.empty() && options.sections.empty()) return sections;
    for (const auto& section : info::sections())
        if (options.sections.empty() || std::find(options.sections.begin(), options.sections.end(),
                                                  section.name) != options.sections.end())
            sections.push_back(&section);
    return sections;
}

std::string json_text(std::span<const info::Section* const> sections, std::span<info::Json> parts) {
    info::Json document{{"share_info", info::schema_version}, {"version", SHARE_VERSION}};
    for (std::size_t i = 0; i < sections.size(); ++i)
        document[std::string(sections[i]->name)] = std::move(parts[i]);
    return document.dump(2, ' ', false, info::Json::error_handler_t::replace) + "\n";
}

std::string page_text(std::span<const info::Section* const> sections, std::span<const info::Json> parts) {
    info::Page page;
    for (std::size_t i = 0; i < sections.size(); ++i) {
        page.heading(sections[i]->name);
        if (info::is_available(parts[i]))
            sections[i]->print(parts[i], page);
        else
            page.line("none", info::reason_of(parts[i]));
        for (const auto& message : parts[i].value("messages", info::Json::array()))
            page.line("said meanwhile", info::plain(message));
    }
    return page.text();
}

bool print(std::FILE* file, const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
}

int run(int argc, char** argv) {
    std::vector<std::string_view> names;
    for (const auto& section : info::sections())
        names.push_back(section.name);
    const auto parsed = info::parse_options(argc, argv, names);
    if (const auto* exit = std::get_if<info::Exit>(&parsed))
        return print(exit->status == 0 ? stdout : stderr, exit->text) ? exit->status : 1;
    const auto& options = std::get<info::Options>(parsed);
    const auto sections = chosen(options);
    auto parts = info::collect_apart(sections);
    if (print(stdout, options.json ? json_text(sections, parts) : page_text(sections, parts))) return 0;
    std::perror("share-info: writing to standard output");
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    fill_standard_fds();
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "share-info: %s\n", error.what());
        return 1;
    }
}
