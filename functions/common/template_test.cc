#include "common/template.h"

#include <gtest/gtest.h>

#include "common/page_buffer.h"

namespace functions {
namespace {

std::string Render(std::string_view source, const Record& values = {}) {
  const Template page(source);
  EXPECT_EQ(page.error(), "") << source;
  return page.Render(values);
}

std::string ErrorOf(std::string_view source) { return Template(source).error(); }

TEST(TemplateTest, TextStaysAsItIs) {
  EXPECT_EQ(Render(""), "");
  EXPECT_EQ(Render("a { b } %} {c {"), "a { b } %} {c {");
}

TEST(TemplateTest, ValuesAreEscapedUnlessSafe) {
  const Record values{{"v", "<a href=\"x\">'&'"}, {"n", int64_t{-12}}};
  EXPECT_EQ(Render("[{{ v }}]", values), "[&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;]");
  EXPECT_EQ(Render("{{v|safe}}", values), "<a href=\"x\">'&'");
  EXPECT_EQ(Render("{{ n }}{{ missing }}{{ n.field }}", values), "-12");
}

TEST(TemplateTest, LoopsNestAndHideOuterNames) {
  const List inner{int64_t{1}, int64_t{2}};
  const Record first{{"name", "a"}, {"list", &inner}};
  const Record second{{"name", "b"}};
  const List outer{&first, &second};
  const Record values{{"outer", &outer}, {"x", "X"}};
  EXPECT_EQ(Render("{% for r in outer %}{{ r.name }}{% for x in r.list %}{{ x }}{% endfor %}"
                   "{{ x }};{% endfor %}", values), "a12X;bX;");
  EXPECT_EQ(Render("{% for r in x %}never{% endfor %}{% for r in no %}never{% endfor %}", values),
            "");
}

TEST(TemplateTest, ConditionsTestForWhatIsEmpty) {
  const List none;
  const List one{int64_t{0}};
  const Record values{
      {"none", &none}, {"one", &one}, {"zero", int64_t{0}}, {"text", "t"}, {"no", ""}};
  for (const char* name : {"one", "text"}) {
    const std::string test = name;
    EXPECT_EQ(Render("{% if " + test + " %}yes{% else %}no{% endif %}", values), "yes") << name;
    EXPECT_EQ(Render("{% if not " + test + " %}yes{% endif %}", values), "") << name;
  }
  for (const char* name : {"none", "zero", "no", "missing"}) {
    const std::string test = name;
    EXPECT_EQ(Render("{% if " + test + " %}yes{% else %}no{% endif %}!", values), "no!") << name;
    EXPECT_EQ(Render("{% if not " + test + " %}yes{% endif %}", values), "yes") << name;
  }
}

TEST(TemplateTest, ADashLeavesOutWhiteSpace) {
  EXPECT_EQ(Render("a \n{%- if no -%}\n b{% endif %} c"), "a c");
  EXPECT_EQ(Render("a {{- v -}} b", {{"v", "-"}}), "a-b");
}

TEST(TemplateTest, SaysWhatIsWrongAndInWhichLine) {
  EXPECT_EQ(ErrorOf("a\n{% endfor %}"), "line 2: endfor without for");
  EXPECT_EQ(ErrorOf("{% for x in y %}{% endif %}"), "line 1: endif without if");
  EXPECT_EQ(ErrorOf("{% if y %}{% else %}{% else %}{% endif %}"), "line 1: else without if");
  EXPECT_EQ(ErrorOf("{% for x of y %}"), "line 1: write for item in list");
  EXPECT_EQ(ErrorOf("{% while %}"), "line 1: the tags are for, endfor, if, else and endif");
  EXPECT_EQ(ErrorOf("\n\n{{ a b }}"), "line 3: give a name or name.field");
  EXPECT_EQ(ErrorOf("{{ a.b.c }}"), "line 1: give a name or name.field");
  EXPECT_EQ(ErrorOf("{{ a | upper }}"), "line 1: the only filter is safe");
  EXPECT_EQ(ErrorOf("{{ a"), "line 1: a mark without its end");
  EXPECT_EQ(ErrorOf("{% if a %}"), "line 1: a block without its end");
  EXPECT_EQ(Template("text {{").Render({}), "");
}

TEST(PageBufferTest, HoldsPiecesOfAnyLength) {
  PageBuffer buffer;
  std::string expected;
  for (size_t size = 0; size < 300; ++size) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    buffer.Append(piece);
    expected += piece;
  }
  const std::string large(200'000, 'x');
  buffer.Append(large);
  buffer.Append("end");
  EXPECT_EQ(buffer.Take(), expected + large + "end");
  EXPECT_EQ(buffer.Take(), "");
}

}  // namespace
}  // namespace functions
