// Table: aligned columns without frames.
//
// Thread rule: one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace hybridserve::cli {

class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell per column; missing cells are empty, cells beyond the columns are left out.
  void Add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  /// Title line (dim on a terminal) and rows, each ended by a newline, no trailing spaces.
  [[nodiscard]] std::string Render(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "label   value" lines whose values are aligned; groups are parted by an empty line.
class Facts {
 public:
  void Add(std::string label, std::string value);
  /// A heading over the facts that follow.
  void Group(std::string heading);
  [[nodiscard]] std::string Render(const Terminal& terminal) const;

 private:
  struct Line {
    std::string label;
    std::string value;
    bool heading = false;
  };
  std::vector<Line> lines_;
};

}  // namespace hybridserve::cli
