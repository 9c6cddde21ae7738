// SeBS's dynamic-html (Copik et al., Middleware 2021), which renders a page by Jinja2: a greeting and
// a list of random numbers, here with notes to be escaped and with conditions.
#include <hybridserve/function.h>

#include "common/parameters.h"
#include "common/template.h"
#include "common/vocabulary.h"

namespace {

using functions::List;
using functions::Random;
using functions::Record;
using functions::Value;
using functions::Vocabulary;

constexpr long long kMostNumbers = 50'000;
constexpr int64_t kNumberBound = 1'000'000;
constexpr int64_t kLarge = 900'000;

constexpr std::string_view kTemplate = R"(<!DOCTYPE html>
<html>
<head><title>Randomly generated data for {{ username }}</title></head>
<body>
<p>Welcome, {{ username }}!</p>
{% if numbers -%}
<p>{{ count }} numbers, all of them below {{ bound }}{{ mark | safe }}</p>
<ul>
{% for number in numbers -%}
<li id="n{{ number.place }}">{% if number.large %}<strong>{{ number.value }}</strong>
{%- else %}{{ number.value }}{% endif %}: {{ number.note }}
{%- for tag in number.tags %} <a href="/tags/{{ tag }}">{{ tag }}</a>{% endfor %}</li>
{% endfor -%}
</ul>
{% else -%}
<p>There are no numbers.</p>
{% endif -%}
</body>
</html>
)";

/// A note with what HTML gives a meaning: "Ba <cedo> & 'ba'."
std::string Note(const Vocabulary& vocabulary, Random& random) {
  std::string note;
  vocabulary.AppendSentence(random, 3 + random.Below(6), note);
  if (random.Below(3) == 0) {
    note.append(" <").append(vocabulary.Pick(random)).append("> & \"");
    note.append(vocabulary.Pick(random)).append("\"'s");
  }
  return note;
}

/// What the values of one number's record look at.
struct Number {
  std::string note;
  List tags;
  Record fields;
};

/// Fills in a number that stays where it is.
void MakeNumber(int64_t place, const Vocabulary& vocabulary, Random& random, Number& number) {
  const auto value = static_cast<int64_t>(random.Below(kNumberBound));
  number.note = Note(vocabulary, random);
  number.tags.resize(random.Below(3));
  for (Value& tag : number.tags) tag = vocabulary.Pick(random);
  number.fields = {{"place", place},
                   {"value", value},
                   {"large", int64_t{value >= kLarge}},
                   {"note", std::string_view(number.note)},
                   {"tags", &number.tags}};
}

std::string Page(std::string_view username, size_t count, uint64_t seed) {
  const Vocabulary vocabulary(1000);
  Random random(seed);
  std::vector<Number> numbers(count);
  List list;
  list.reserve(count);
  for (Number& number : numbers) {
    MakeNumber(static_cast<int64_t>(list.size()), vocabulary, random, number);
    list.emplace_back(&number.fields);
  }
  return functions::Template(kTemplate).Render({{"username", username},
                                                {"count", static_cast<int64_t>(count)},
                                                {"bound", kNumberBound},
                                                {"mark", std::string_view("&hellip;")},
                                                {"numbers", &list}});
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const std::string username = parameters.Text("username", "world", 200);
  const long long count = parameters.Integer("random_len", 1000, 0, kMostNumbers);
  const long long seed = parameters.Integer("seed", 1, 0, 1'000'000'000);
  if (!parameters.ok()) return parameters.BadRequest();
  return hs::Response::Of("text/html; charset=utf-8", Page(username, static_cast<size_t>(count),
                                                           static_cast<uint64_t>(seed)));
}
