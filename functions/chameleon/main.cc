// FunctionBench's chameleon: a table of num_of_rows x num_of_cols as HTML, from a template. As there,
// all rows show the same numbers, 1 to num_of_cols.
#include <hybridserve/function.h>

#include "common/parameters.h"
#include "common/template.h"

namespace {

using functions::List;
using functions::Record;

constexpr long long kMostRows = 2000;
constexpr long long kMostColumns = 200;

constexpr std::string_view kTemplate = R"(<table xmlns="http://www.w3.org/1999/xhtml">
{% for row in table -%}
<tr>
{% for d in row -%}
<td><span class="column-{{ d }}">{{ d }}</span></td>
{% endfor -%}
</tr>
{% endfor -%}
</table>
)";

std::string Page(long long rows, long long columns) {
  List row;
  for (int64_t column = 1; column <= columns; ++column) row.emplace_back(column);
  const List table(static_cast<size_t>(rows), &row);
  return functions::Template(kTemplate).Render(Record{{"table", &table}});
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const long long rows = parameters.Integer("num_of_rows", 100, 0, kMostRows);
  const long long columns = parameters.Integer("num_of_cols", 20, 0, kMostColumns);
  if (!parameters.ok()) return parameters.BadRequest();
  return hs::Response::Of("text/html; charset=utf-8", Page(rows, columns));
}
