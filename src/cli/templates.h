// Templates: the functions that `hybridserve new` writes, compiled into the program from
// templates/.
//
// Thread rule: constants.
#pragma once

#include <span>
#include <string_view>

namespace hybridserve::cli {

struct TemplateFile {
  std::string_view language;  ///< "cpp", "c", "go".
  std::string_view name;      ///< In the function's folder.
  std::string_view content;   ///< `@NAME@` stands for the function's name.
};

std::span<const TemplateFile> TemplateFiles();

}  // namespace hybridserve::cli
