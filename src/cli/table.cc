#include "cli/table.h"

#include <algorithm>

namespace hybridserve::cli {
namespace {

constexpr size_t kGap = 2;

void AppendPadded(std::string& line, std::string_view cell, size_t width, Table::Align align) {
  const size_t padding = width - std::min(width, DisplayWidth(cell));
  if (align == Table::Align::kRight) line.append(padding, ' ');
  line += cell;
  if (align == Table::Align::kLeft) line.append(padding, ' ');
}

std::string WithoutTrailingSpaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Render(const Terminal& terminal) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = DisplayWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text.append(kGap, ' ');
      AppendPadded(text, cell_of(i), widths[i], columns_[i].align);
    }
    return WithoutTrailingSpaces(std::move(text));
  };
  std::string text = terminal.Dim(line([&](size_t i) { return columns_[i].title; })) + "\n";
  for (const auto& row : rows_) text += line([&](size_t i) { return row[i]; }) + "\n";
  return text;
}

void Facts::Add(std::string label, std::string value) {
  lines_.push_back({std::move(label), std::move(value), false});
}

void Facts::Group(std::string heading) { lines_.push_back({std::move(heading), "", true}); }

std::string Facts::Render(const Terminal& terminal) const {
  size_t width = 0;
  for (const Line& line : lines_) {
    if (!line.heading) width = std::max(width, DisplayWidth(line.label));
  }
  std::string text;
  for (const Line& line : lines_) {
    if (line.heading) {
      text += (text.empty() ? "" : "\n") + terminal.Bold(line.label) + "\n";
      continue;
    }
    std::string padded = line.label;
    padded.append(width + kGap - DisplayWidth(line.label), ' ');
    text += WithoutTrailingSpaces("  " + terminal.Dim(padded) + line.value) + "\n";
  }
  return text;
}

}  // namespace hybridserve::cli
